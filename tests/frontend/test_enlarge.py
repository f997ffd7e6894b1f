"""What enlarges an image is phases of convolutions, and computes what PyTorch does."""

import pytest
import torch
import torch.nn.functional as F
from torch import nn

from qnn.errors import ModelError
from qnn.frontend.capture import capture
from qnn.frontend.fuse import fuse
from qnn.frontend.ops.conv import FloatConv
from qnn.frontend.ops.interleave import FloatInterleave
from qnn.frontend.passes.lower_resamples import columns_of, parts_of
from qnn.frontend.run import run

IMAGE = torch.randn(2, 4, 5, 7, generator=torch.Generator().manual_seed(0))


class Called(nn.Module):
    """A model of one function."""

    def __init__(self, function):
        super().__init__()
        self.function = function

    def forward(self, x):
        return self.function(x)


def fused(model, x=IMAGE):
    """The fused graph, after a test that it computes what the model does."""
    model = model if isinstance(model, nn.Module) else Called(model)
    torch.manual_seed(1)
    for module in model.modules():
        if isinstance(module, nn.BatchNorm2d):
            module.running_mean.normal_()
            module.running_var.uniform_(0.5, 2)
    graph = fuse(capture(model.eval(), x), checked=True)
    with torch.no_grad():
        got, wanted = run(graph, x)[graph.outputs[0].name], model(x)
    torch.testing.assert_close(got, wanted, atol=1e-5, rtol=1e-4)
    kinds = {type(node) for node in graph.nodes} - {type(graph.inputs[0])}
    assert kinds <= {FloatConv, FloatInterleave}
    return graph


@pytest.mark.parametrize(
    "fields",
    [
        {"kernel_size": 2, "stride": 2},
        {"kernel_size": 3, "stride": 2, "padding": 1, "output_padding": 1},
        {"kernel_size": 4, "stride": 2, "padding": 1, "bias": False},
        {"kernel_size": 5, "stride": 3, "padding": 1, "dilation": 2, "output_padding": 2},
        {"kernel_size": 1, "stride": 2},
        {"kernel_size": 3, "stride": 2, "groups": 2},
        {"kernel_size": 3, "stride": 1, "padding": 1},
        {"kernel_size": 3, "stride": 1, "padding": 2},
        {"kernel_size": (3, 2), "stride": (1, 3), "padding": (1, 0), "output_padding": (0, 1)},
        {"kernel_size": 2, "stride": 4, "dilation": 3},
        {"kernel_size": 4, "stride": 2, "padding": 3},
        {"kernel_size": (9, 1), "stride": 4, "padding": (4, 0), "groups": 2},
        {"kernel_size": 2, "stride": 2, "dilation": 6, "padding": 1},
    ],
)
def test_a_transposed_convolution_is_the_phases_of_its_kernel(fields):
    fused(nn.ConvTranspose2d(4, 6, **fields))


def test_normalisation_and_relu_behind_a_transposed_convolution_join_its_phases():
    model = nn.Sequential(nn.ConvTranspose2d(4, 6, 3, 2, 1, 1), nn.BatchNorm2d(6), nn.ReLU())
    assert (
        str(fused(model))
        == """\
input = input() 4x5x7
0.0_0 = conv(input) 6x5x7 1x1 low=0.0 bias batchnorm
0.0_1 = conv(input) 6x5x7 1x2 padding=(0,0,0,1) low=0.0 bias batchnorm
0.1_0 = conv(input) 6x5x7 2x1 padding=(0,1,0,0) low=0.0 bias batchnorm
0.1_1 = conv(input) 6x5x7 2x2 padding=(0,1,0,1) low=0.0 bias batchnorm
0 = interleave(0.0_0, 0.0_1, 0.1_0, 0.1_1) 6x10x14 step=(2,2) offsets=((0,0),(0,1),(1,0),(1,1))
return 0"""
    )


def test_a_phase_without_taps_is_its_bias():
    graph = fused(nn.ConvTranspose2d(4, 3, 1, 2))
    assert [bool(conv.weight.any()) for conv in graph.convs] == [True, False, False, False]


RESAMPLED = {
    "nearest": {"scale_factor": 2},
    "nearest by 3 and 2": {"scale_factor": (3, 2)},
    "nearest by 1.5": {"scale_factor": 1.5},
    "nearest to a size": {"size": (8, 11)},
    "nearest to a half": {"scale_factor": 0.5},
    "nearest-exact": {"scale_factor": 2, "mode": "nearest-exact"},
    "bilinear": {"scale_factor": 2, "mode": "bilinear"},
    "bilinear by 3": {"scale_factor": 3, "mode": "bilinear"},
    "bilinear by 8": {"scale_factor": 8, "mode": "bilinear"},
    "bilinear by 1.7": {"scale_factor": 1.7, "mode": "bilinear"},
    "bilinear, corners": {"scale_factor": 2, "mode": "bilinear", "align_corners": True},
    "bilinear to a half": {"scale_factor": 0.5, "mode": "bilinear"},
    "antialiased": {"scale_factor": 0.5, "mode": "bilinear", "antialias": True},
    "bicubic": {"scale_factor": 2, "mode": "bicubic"},
}


@pytest.mark.parametrize("fields", RESAMPLED.values(), ids=RESAMPLED)
def test_resampling_is_fixed_convolutions_side_by_side(fields):
    graph = fused(lambda x: F.interpolate(x, **fields))
    assert all(conv.fixed for conv in graph.convs)


@pytest.mark.parametrize("mode", ["reflect", "replicate", "circular"])
def test_padding_by_copies_is_copies_side_by_side(mode):
    graph = fused(lambda x: F.pad(x, (1, 3, 2, 0), mode=mode))
    assert all(conv.copies for conv in graph.convs)


@pytest.mark.parametrize("dim", [2, 3, -1])
def test_rows_below_rows_and_columns_beside_columns(dim):
    graph = fused(lambda x: torch.cat([x, F.relu(x), x], dim))
    assert graph["cat"].step == (1, 1)


def test_nearest_upsampling_reads_its_operand_and_a_normalisation_moves_before_it():
    model = nn.Sequential(
        nn.Conv2d(4, 3, 1), nn.Upsample(scale_factor=2), nn.BatchNorm2d(3), nn.ReLU()
    )
    assert (
        str(fused(model))
        == """\
input = input() 4x5x7
0 = conv(input) 3x5x7 1x1 low=0.0 bias batchnorm
1 = interleave(0, 0, 0, 0) 3x10x14 step=(2,2) offsets=((0,0),(0,1),(1,0),(1,1))
return 1"""
    )


def test_upsampling_by_two_has_two_phases_and_a_border_along_an_axis():
    matrix = F.interpolate(torch.eye(5)[None], scale_factor=2, mode="linear")[0].T
    step, parts = parts_of(matrix)
    assert step == 2
    assert [(part.first, part.count, part.weights) for part in parts] == [
        (0, 1, (1.0,)),
        (2, 4, (0.25, 0.75)),
        (1, 4, (0.75, 0.25)),
        (9, 1, (1.0,)),
    ]


def test_columns_in_reverse_are_one_convolution_that_reads_them_so():
    graph = fused(lambda x: x.flip(3))
    assert (
        str(graph)
        == """\
x = input() 4x5x7
flip = conv(x) 4x5x7 1x1 stride=(1,-1) groups=4 fixed
return flip"""
    )
    # Rows have no such convolution.
    assert len(fused(lambda x: x.flip((2, 3))).convs) == 5


@pytest.mark.parametrize(
    ("places", "step", "parts"),
    [
        ([6, 5, 4, 3, 2, 1, 0], 1, [(0, 7, 6, -1)]),
        ([6, 4, 2, 0], 1, [(0, 4, 6, -2)]),
        ([2, 1, 0, 6, 5, 4, 3], 1, [(0, 3, 2, -1), (3, 4, 6, -1)]),
        ([6, 6, 5, 5, 4, 4], 2, [(0, 3, 6, -1), (1, 3, 6, -1)]),
        # No fewer parts in reverse: as they come.
        ([1, 0, 1, 2, 3, 4, 5, 6, 5], 1, [(0, 1, 1, 1), (1, 7, 0, 1), (8, 1, 5, 1)]),
        ([3], 1, [(0, 1, 3, 1)]),
    ],
)
def test_columns_go_back_where_that_is_fewer_parts(places, step, parts):
    matrix = F.one_hot(torch.tensor(places), 7).float()
    found_step, found = columns_of(matrix)
    assert found_step == step
    found = sorted((part.first, part.count, part.pixel, part.stride) for part in found)
    assert found == parts


def test_weights_of_columns_in_reverse_keep_their_order():
    matrix = F.interpolate(torch.eye(5)[None], scale_factor=2, mode="linear")[0].T
    assert columns_of(matrix) == parts_of(matrix)
    graph = fused(lambda x: F.interpolate(x, scale_factor=2, mode="bilinear").flip(3))
    assert any(conv.window.stride[1] < 0 for conv in graph.convs)


def test_a_pixel_shuffle_is_computed_by_the_convolution_before_it():
    model = nn.Sequential(
        nn.Conv2d(4, 12, 3, padding=1), nn.BatchNorm2d(12), nn.PixelShuffle(2), nn.ReLU()
    )
    graph = fused(model)
    assert len(graph.convs) == 4
    assert all(conv.learned and conv.low == 0.0 and conv.shape[0] == 3 for conv in graph.convs)


def test_a_pixel_shuffle_of_another_tensor_is_copies():
    graph = fused(lambda x: F.pixel_shuffle(x, 2))
    assert all(conv.copies for conv in graph.convs)


def test_pixels_become_channels_by_one_convolution():
    x = IMAGE[..., :4, :6]
    assert len(fused(lambda y: F.pixel_unshuffle(y, 2), x).convs) == 1


def test_resampling_to_hundreds_of_different_rows_is_refused():
    model = Called(lambda x: F.interpolate(x, (601, 7), mode="bilinear", align_corners=True))
    with pytest.raises(ModelError) as refusal:
        capture(model, torch.zeros(1, 1, 300, 7))
    assert (
        "needs at most 512 rows or columns with weights of their own, not 601, from 300 to 601; "
        "resample by an integer factor, with align_corners=False"
    ) in str(refusal.value)
