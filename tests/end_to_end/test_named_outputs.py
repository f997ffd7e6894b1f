"""A segmentation network's dictionary: PyTorch = functional simulator and driver, by its names."""

from collections import namedtuple

import numpy as np
import pytest
import torch
from torch import Tensor, nn

import qnn
from qnn.cli.app import main
from qnn.cli.verify import outputs
from qnn.design import compile
from qnn.ir.encode import encode_input
from qnn.ir.reference import reference
from qnn.runtime.values import decode
from sim.junit import junit
from sim.simulate import simulate
from sim.verify import verify
from tests.frontend.test_odd_models import Made
from tests.nearest import quantize

Found = namedtuple("Found", "boxes scores")
BOTH = {"a": ("all",), "b": ("all",)}
GRID = torch.arange(16.0).reshape(4, 4)


class Segmenting(nn.Module):
    """Scores of each pixel, their classes, and the classes of an auxiliary head."""

    def __init__(self):
        super().__init__()
        self.body = nn.Sequential(nn.Conv2d(3, 8, 3, stride=2, padding=1), nn.ReLU())
        self.head, self.aux = nn.Conv2d(8, 5, 1), nn.Conv2d(8, 5, 1)

    def forward(self, x: Tensor) -> dict[str, Tensor]:
        """Each head at the size of the image."""
        seen = self.body(x)
        y = nn.functional.interpolate(self.head(seen), size=x.shape[2:], mode="nearest")
        return {"out": y, "mask": y.argmax(1), "aux": self.aux(seen).softmax(1).argmax(1)}


@pytest.fixture(scope="module")
def images():
    return torch.randn(3, 3, 12, 12, generator=torch.Generator().manual_seed(1))


@pytest.fixture(scope="module")
def quantized(images):
    torch.manual_seed(0)
    return quantize(Segmenting().eval(), images, weight_bits=3, terms=2)


@pytest.fixture(scope="module")
def design(quantized):
    return compile(qnn.export(quantized), "test")


def test_scores_and_classes_of_a_dictionary_are_equal_everywhere(quantized, design, images):
    report = verify(design, images.numpy(), "functional")
    assert (report.mismatches, report.failure) == (0, None)
    wanted = quantized(images)
    run = simulate(design, images.numpy(), device="functional")
    found = decode(design.artifact, run.outputs)
    assert dict(found).keys() == {"out", "mask", "aux"}
    assert run.outputs._fields == ("out", "aux")
    for name, values in found.items():
        np.testing.assert_array_equal(values, run.results[name])
        np.testing.assert_array_equal(values, wanted[name].numpy())
    # Each shape is that of the float model.
    shapes = [tuple(each.shape) for each in Segmenting()(images).values()]
    assert [each.shape for each in found] == shapes == [(3, 5, 12, 12), (3, 12, 12), (3, 6, 6)]


def test_verify_says_which_results_of_the_model_an_output_is(design, images):
    x = images.numpy()
    graphs = design.graph, design.backend.lower(design.graph)
    codes = encode_input(design.graph, x)
    expected = {n: each for graph in graphs for n, each in reference(graph, codes).items()}
    name = design.graph.outputs[0].name
    expected[name] = expected[name].copy()
    expected[name][1, 2, 3, 4] += 1
    report = verify(design, x, "functional", expected=expected)
    lines = str(report).splitlines()
    value = int(expected[name][1, 2, 3, 4])
    assert lines[:2] == [
        "verify: FAIL 1/6804 mismatches",
        f"  first: layer '{name}' (results out, mask), image 1, channel 2, row 3, column 4: "
        f"expected {value}, got {value - 1}",
    ]
    assert f"{name} (results out, mask) (store), image 1" in junit(report)
    assert [(each.name, each.results, each.mismatches) for each in report.outputs[:6:2]] == [
        (name, ("out", "mask"), 0),
        (name, ("out", "mask"), 0),
        ("aux", ("aux",), 0),
    ]
    assert outputs(report) == [
        {"tensor": name, "results": ("out", "mask"), "values": 2160, "mismatches": 1},
        {"tensor": "aux", "results": ("aux",), "values": 540, "mismatches": 0},
    ]


NESTED = {
    "one alone": (lambda a, b: a, {"a": ()}),
    "a list of one": (lambda a, b: [a], {"a": ()}),
    "a pair": (lambda a, b: (a, b), {"a": ("0",), "b": ("1",)}),
    "lists in a list": (lambda a, b: [[a, a * GRID], b], {"a": ("0.0", "0.1"), "b": ("1",)}),
    "a dictionary of one": (lambda a, b: {"out": a}, {"a": ("out",)}),
    "a named tuple": (lambda a, b: Found(b, [a]), {"a": ("scores.0",), "b": ("boxes",)}),
    "boxes of two maps": (lambda a, b: {"all": torch.cat([a, b * GRID], 1)}, BOTH),
}


@pytest.mark.filterwarnings("ignore::qnn.errors.QnnWarning")  # some ends use one layer alone
@pytest.mark.parametrize("name", NESTED)
def test_an_output_has_the_keys_and_places_of_the_users_results(name):
    end, wanted = NESTED[name]
    a, b = nn.Conv2d(3, 2, 1), nn.Conv2d(3, 2, 1)
    model = Made(lambda m, x: end(m.a(x), m.b(x)), a=a, b=b).eval()
    graph = qnn.export(quantize(model, torch.randn(2, 3, 4, 4), weight_bits=3))
    assert dict(graph.output_labels) == wanted


@pytest.mark.slow
def test_arrays_of_a_simulation_have_the_names_of_the_outputs(design, images, tmp_path):
    design.write(tmp_path / "build")
    np.savez(tmp_path / "x.npz", x_train=images.numpy(), x_test=images.numpy())
    arguments = ("--data", str(tmp_path / "x.npz"), "-o", str(tmp_path / "out.npz"))
    with pytest.raises(SystemExit) as exit_:
        main(["simulate", str(tmp_path / "build"), *arguments])
    assert not exit_.value.code
    with np.load(tmp_path / "out.npz") as arrays:
        # Integers of the network's tensors, before the host's argmax.
        assert arrays.files == ["out", "aux"]
        assert arrays["out"].shape[1:] == (5, 12, 12)
