from dataclasses import replace

import pytest
import torch
from safetensors.torch import save_file

from qnn.errors import ModelError
from qnn.quant.rounding import Checkpoint, DiscQuant
from qnn.quant.rounding.checkpoint import identity
from tests.quant.test_rounding_discquant import problem

OPTIONS = DiscQuant(steps=4)
COMPARED = "other biases to learn or results to compare"


def saved(path):
    kept = Checkpoint(path / "run.safetensors")
    kept.save(identity("discquant", problem(), OPTIONS), {"x": torch.arange(3.0)})
    return kept


def other_model():
    return problem(seed=1)


def other_grid():
    case = problem()
    layer = case.layers["0.weight"]
    moved = {"0.weight": replace(layer, exponent=layer.exponent + 1)}
    return replace(case, layers={**case.layers, **moved})


def other_data():
    case = problem()
    return replace(case, data=case.data + 1)


def other_augmentation():
    return replace(problem(), prepare=lambda drawn, _generator: drawn)


def other_biases():
    return replace(problem(), tuned=("0.bias",))


def other_results_inside():
    return replace(problem(), scales={"0": 1.0})


def test_what_was_saved_is_loaded(tmp_path):
    kept = saved(tmp_path)
    found = kept.load(identity("discquant", problem(), OPTIONS))
    assert torch.equal(found["x"], torch.arange(3.0))
    assert [path.name for path in tmp_path.iterdir()] == ["run.safetensors"]


def test_no_file_is_no_checkpoint(tmp_path):
    assert Checkpoint(tmp_path / "none").load(identity("discquant", problem(), OPTIONS)) is None


@pytest.mark.parametrize(
    ("other", "method", "case", "options"),
    [
        ("another method", "adaround", problem, OPTIONS),
        ("other options", "discquant", problem, DiscQuant(steps=5)),
        ("another model", "discquant", other_model, OPTIONS),
        ("another grid", "discquant", other_grid, OPTIONS),
        ("other data", "discquant", other_data, OPTIONS),
        ("another augmentation", "discquant", other_augmentation, OPTIONS),
        (COMPARED, "discquant", other_biases, OPTIONS),
        (COMPARED, "discquant", other_results_inside, OPTIONS),
    ],
)
def test_a_checkpoint_of_another_run_is_refused(tmp_path, other, method, case, options):
    kept = saved(tmp_path)
    before = kept.path.read_bytes()
    with pytest.raises(ModelError) as error:
        kept.load(identity(method, case(), options))
    assert str(error.value) == (
        f"{kept.path}: a rounding checkpoint of {other}; choose another path, or remove it to "
        f"start again"
    )
    assert kept.path.read_bytes() == before


def test_another_file_is_refused(tmp_path):
    path = tmp_path / "model.safetensors"
    save_file({"x": torch.zeros(1)}, path)
    with pytest.raises(ModelError) as error:
        Checkpoint(path).load(identity("discquant", problem(), OPTIONS))
    assert str(error.value) == f"{path}: not a rounding checkpoint; choose another path"


def test_a_cut_file_is_refused(tmp_path):
    kept = saved(tmp_path)
    kept.path.write_bytes(kept.path.read_bytes()[:20])
    with pytest.raises(ModelError) as error:
        kept.load(identity("discquant", problem(), OPTIONS))
    text = str(error.value)
    assert text.startswith(f"{kept.path}: cannot be read as a rounding checkpoint: ")
    assert text.endswith("; remove it to start again")


def test_a_folder_that_is_not_there_is_refused(tmp_path):
    kept = Checkpoint(tmp_path / "none" / "run.safetensors")
    with pytest.raises(ModelError) as error:
        kept.save({}, {"x": torch.zeros(1)})
    text = str(error.value)
    assert text.startswith(
        f"{kept.path}: a rounding checkpoint needs a writable folder with room, "
    )
    assert text.endswith("; choose another path")
