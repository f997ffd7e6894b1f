"""A segmentation network's dictionary: PyTorch = functional simulator and driver, by its names."""

import numpy as np
import pytest
import torch
from torch import Tensor, nn

import qnn
from qnn.cli.app import main
from qnn.design import compile
from qnn.runtime.values import decode
from sim.simulate import simulate
from sim.verify import verify


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
    return qnn.quantize(Segmenting().eval(), images, weight_bits=3, terms=2)


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
