import json

import numpy as np
import pytest

from hw.spec.config import CONFIGS
from hw.spec.resources import Cells, terms
from qnn.eda import blocks

TEST = CONFIGS["test"]
TRUE = {"lut": [1.5, 0.25, 3.0, 0.5, 7.0], "ff": [2.0, 1.0, 0.5, 4.0, 100.0]}  # of the shell


def counted(block, config):
    """Cells by coefficients that are known."""
    sizes = terms(block, config)
    return Cells(
        **{kind: sum(c * size for c, size in zip(TRUE[kind], sizes, strict=True)) for kind in TRUE}
    )


def test_a_fit_finds_the_coefficients_that_made_the_counts(monkeypatch):
    monkeypatch.setattr(blocks, "block_cells", counted)
    said = []
    (found,) = blocks.fit_block("shell", blocks.SHAPES, said.append).values()
    assert found["lut"] == pytest.approx(TRUE["lut"], abs=0.05)
    assert found["ff"] == pytest.approx(TRUE["ff"], abs=0.05)
    assert said[-1] == "shell: ff within 0.0%"


def test_the_array_has_coefficients_for_each_width_of_a_weight(monkeypatch):
    monkeypatch.setattr(blocks, "block_cells", lambda *_: Cells(lut=10, ff=20))
    monkeypatch.setattr(blocks, "accelerator_cells", lambda config: Cells(lut=100, ff=200))
    table = blocks.fit(lambda text: None)
    assert set(table) == {
        *(f"array, {bits}-bit weights" for bits in (2, 3, 4, 5)),
        *("buffers", "crossbar", "epilogue", "control", "shell"),
    }
    # 100 - 6 blocks of 10: what is in no block belongs to control.
    control = sum(
        c * s for c, s in zip(table["control"]["lut"], terms("control", TEST), strict=True)
    )
    assert control == pytest.approx(10 + 40, abs=0.1)


def test_the_table_is_written_whole(monkeypatch, tmp_path):
    monkeypatch.setattr(blocks, "TABLE", tmp_path / "resources.json")
    monkeypatch.setattr(blocks, "fit", lambda progress: {"shell": TRUE})
    blocks.main()
    assert json.loads((tmp_path / "resources.json").read_text())["coefficients"] == {"shell": TRUE}


@pytest.mark.rtl
def test_blocks_make_up_the_accelerator():
    whole = blocks.accelerator_cells(TEST)
    parts = sum(
        (blocks.block_cells(block, TEST) for block in blocks.parts(TEST)), start=Cells(lut=0, ff=0)
    )
    assert parts.lut == pytest.approx(whole.lut, rel=0.05)
    assert parts.bram18 == whole.bram18


@pytest.mark.parametrize("weight_bits", [2, 3, 4, 5])
def test_what_the_array_is_counted_at_tells_all_of_its_terms_apart(weight_bits):
    sizes = [terms("array", c) for c in blocks.ELEMENTS if c.weight_bits == weight_bits]
    assert np.linalg.matrix_rank(np.array(sizes, float)) == len(sizes[0])
