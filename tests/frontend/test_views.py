"""What moves values is read as PyTorch has it, and costs nothing where weights can take it in."""

import pytest
import torch
import torch.nn.functional as F
from torch import nn

from qnn.frontend.capture import capture
from qnn.frontend.fuse import fuse
from qnn.frontend.graph import FloatGraph
from qnn.frontend.run import run
from tests.frontend.test_odd_models import Made


def conv(inputs: int, outputs: int, size: int = 3, **more):
    return nn.Conv2d(inputs, outputs, size, padding=size // 2, **more)


def shuffled(x, groups):
    images, channels, height, width = x.shape
    x = x.view(images, groups, channels // groups, height, width)
    return x.transpose(1, 2).reshape(images, channels, height, width)


def unit(m, x):
    left, right = m.first(x).chunk(2, 1)
    x = shuffled(torch.cat([left, m.branch(right).relu()], 1), 2)
    left, right = x.chunk(2, 1)
    return m.last(torch.cat([left, m.second(right)], 1))


def focused(m, x):
    parts = [x[..., i::2, j::2] for j in (0, 1) for i in (0, 1)]
    return m.first(torch.cat(parts, 1))


def token_mixed(m, x):
    y = m.up(m.first(x).permute(0, 2, 3, 1)).relu()
    return x + m.down(y).permute(0, 3, 1, 2)


def unshuffled(m, x):
    x = x.view(len(x), 3, 4, 2, 4, 2).permute(0, 1, 3, 5, 2, 4)
    return m.first(x.reshape(len(x), 12, 4, 4))


CASES = {
    "ShuffleNet's unit": Made(
        unit, first=conv(3, 64), branch=conv(32, 32), second=conv(32, 32, 1), last=conv(64, 4, 1)
    ),
    "YOLO's focus": Made(focused, first=conv(12, 4)),
    "a crop": Made(lambda m, x: m.a(m.first(x)[:, :, 1:-2, 3:]), first=conv(3, 4), a=conv(4, 2)),
    "a permute before a linear layer": Made(
        lambda m, x: m.a(m.first(x).permute(0, 2, 3, 1).flatten(1)),
        first=conv(3, 4),
        a=nn.Linear(256, 5),
    ),
    "flipped and rolled channels": Made(
        lambda m, x: m.a(m.first(x).flip(1).roll(1, 1)), first=conv(3, 4), a=conv(4, 5)
    ),
    "repeated channels": Made(lambda m, x: m.a(x[:, :1].repeat(1, 3, 1, 1)), a=conv(3, 5)),
    "expanded channels": Made(lambda m, x: m.a(x[:, 1:2].expand(-1, 3, -1, -1)), a=conv(3, 5)),
    "a stack": Made(lambda m, x: m.a(torch.stack([x, x.relu()], 2).flatten(1, 2)), a=conv(6, 5)),
    "chosen channels": Made(lambda m, x: m.a(x[:, [2, 0]]), a=conv(2, 4)),
    "unbound parts": Made(
        lambda m, x: torch.add(*m.first(x).unflatten(1, (2, 2)).unbind(1)), first=conv(3, 4)
    ),
    "linear layers of pixels": Made(
        token_mixed, first=conv(3, 3), up=nn.Linear(3, 12), down=nn.Linear(12, 3)
    ),
    "tokens and back": Made(
        lambda m, x: m.a(m.first(x).flatten(2).mT).relu().mT.reshape(len(x), 6, 8, 8),
        first=conv(3, 4),
        a=nn.Linear(4, 6),
    ),
    "a shuffle before depthwise layers": Made(
        lambda m, x: m.last(m.depth(shuffled(m.first(x), 4)).relu()),
        first=conv(3, 8),
        depth=conv(8, 8, groups=8),
        last=conv(8, 5, 1),
    ),
    "space to depth": Made(unshuffled, first=conv(12, 4)),
    "one pixel": Made(
        lambda m, x: m.a(m.first(x)[:, :, 0, 0]), first=conv(3, 4), a=nn.Linear(4, 2)
    ),
    "a mean of channels": Made(lambda m, x: m.first(x).mean(1, keepdim=True), first=conv(3, 4)),
    "a mean in two steps": Made(
        lambda m, x: m.a(m.first(x).mean(-1).mean(-1)), first=conv(3, 4), a=nn.Linear(4, 2)
    ),
    "a mean of flat images": Made(
        lambda m, x: m.a(m.first(x).flatten(2).mean(2)), first=conv(3, 4), a=nn.Linear(4, 2)
    ),
    "a mean of tokens": Made(
        lambda m, x: m.a(m.first(x).flatten(2).mT.mean(1)), first=conv(3, 4), a=nn.Linear(4, 2)
    ),
    "a mean of all features": Made(
        lambda m, x: m.first(x).flatten(1).mean(-1, keepdim=True), first=conv(3, 4)
    ),
    "the greatest": Made(
        lambda m, x: m.first(x).amax((2, 3)) + m.first(x).max(dim=3)[0].max(dim=2)[0],
        first=conv(3, 4),
    ),
    "a sum over branches": Made(
        lambda m, x: m.a(m.first(x).view(len(x), 2, 3, 8, 8).sum(1).relu()),
        first=conv(3, 6),
        a=conv(3, 2),
    ),
    "a mean of branches": Made(
        lambda m, x: torch.stack([m.first(x), m.a(x), x], 0).mean(0).relu(),
        first=conv(3, 3),
        a=conv(3, 3, 1),
    ),
    "the greatest in windows": Made(
        lambda m, x: m.a(F.adaptive_max_pool2d(m.first(x), (2, 4))), first=conv(3, 4), a=conv(4, 2)
    ),
    "zeros for channels": Made(
        lambda m, x: torch.cat([m.first(x), x, torch.zeros_like(x)], 1), first=conv(3, 3)
    ),
    "a gate that is spread": Made(
        lambda m, x: m.first(x) * m.a(x.mean((2, 3), keepdim=True)).expand(-1, -1, 8, 8),
        first=conv(3, 4),
        a=conv(3, 4, 1),
    ),
    "one number": Made(lambda m, x: m.first(x).mean((2, 3)).squeeze(-1), first=conv(3, 1)),
    "a crop by padding": Made(lambda m, x: m.first(F.pad(x, (-1, 0, 0, -2))), first=conv(3, 4)),
    "a crop and zeros by padding": Made(
        lambda m, x: m.first(F.pad(m.first(x), (-1, 2, 0, -2, -1, 1))), first=conv(3, 3)
    ),
    "a mean of rows below rows": Made(
        lambda m, x: torch.cat([m.first(x), m.first(x)], 2).mean((2, 3)), first=conv(3, 4)
    ),
    "a mean of moved rows below rows": Made(
        lambda m, x: torch.cat([m.first(x), m.first(x)], 2).flip(1).mean((2, 3)),
        first=conv(3, 4),
    ),
    "linear layers of pixels of rows below rows": Made(
        lambda m, x: m.last(
            m.a(torch.cat([m.first(x), x], 2).movedim(1, -1)).movedim(-1, 1),
        ),
        first=conv(3, 3),
        a=nn.Linear(3, 5),
        last=conv(5, 2),
    ),
    "a mean of every second row": Made(
        lambda m, x: m.first(x)[:, :, ::2, 1:7:3].mean((2, 3)), first=conv(3, 4)
    ),
    "a repeated channel of an upsampled image": Made(
        lambda m, x: F.interpolate(m.first(x), scale_factor=1.5)[:, :1].repeat(1, 3, 1, 1),
        first=conv(3, 4),
    ),
    "a function of a repeated channel": Made(
        lambda m, x: m.a(F.softshrink(m.first(x)[:, :1].expand(-1, 3, -1, -1))),
        first=conv(3, 4),
        a=conv(3, 2),
    ),
    "a linear layer of a row, channels last": Made(
        lambda m, x: m.a(m.first(x)[:, :, :1].permute(0, 2, 3, 1).flatten(1)),
        first=conv(3, 4),
        a=nn.Linear(32, 5),
    ),
    "averages without their padding": Made(
        lambda m, x: F.avg_pool2d(m.first(x), 3, 1, 1, count_include_pad=False), first=conv(3, 4)
    ),
    "averages of cut windows": Made(
        lambda m, x: F.avg_pool2d(m.first(x), 3, 2, ceil_mode=True), first=conv(3, 4)
    ),
    "averages of uneven shares": Made(
        lambda m, x: F.adaptive_avg_pool2d(m.first(x), (3, 5)), first=conv(3, 4)
    ),
    "the greatest of uneven shares": Made(
        lambda m, x: F.adaptive_max_pool2d(m.first(x), (3, 5)), first=conv(3, 4)
    ),
    "means of rows": Made(
        lambda m, x: m.a(m.first(x).mean(3)), first=conv(3, 4), a=nn.Conv1d(4, 2, 3)
    ),
}
SEQUENCES = {
    "zeros around a sequence": Made(
        lambda m, x: m.a(F.pad(m.first(x), (2, 1, 1, 0))),
        first=nn.Conv1d(4, 4, 3),
        a=nn.Conv1d(5, 2, 3),
    ),
    "a causal shift": Made(
        lambda m, x: m.first(x) + F.pad(m.first(x), (1, -1)), first=nn.Conv1d(4, 4, 3)
    ),
    "layers of sequences": nn.Sequential(
        *(nn.Conv1d(4, 8, 3, 2, 1), nn.BatchNorm1d(8), nn.ReLU(), nn.MaxPool1d(2)),
        *(nn.Conv1d(8, 8, 3, padding="same", groups=8), nn.AvgPool1d(2), nn.AdaptiveAvgPool1d(1)),
        *(nn.Flatten(), nn.Linear(8, 3)),
    ),
    "a causal layer": Made(
        lambda m, x: m.a(m.first(x)[:, :, :-4].relu()[:, :, -1]),
        first=nn.Conv1d(4, 4, 3, padding=4, dilation=2),
        a=nn.Linear(4, 2),
    ),
    "the greatest of points": Made(
        lambda m, x: m.a(m.first(x).max(dim=2)[0]), first=nn.Conv1d(4, 4, 1), a=nn.Linear(4, 2)
    ),
    "linear layers of tokens": Made(
        lambda m, x: m.last(m.first(x).relu()[:, -1]),
        first=nn.Linear(16, 8),
        last=nn.Linear(8, 2),
    ),
}
# What PReLU is given, and how many slopes it has there, along the second axis.
SLOPES = {
    "every second channel": (lambda x: x[:, ::2], 2),
    "rows that became channels": (lambda x: x.permute(0, 2, 3, 1), 8),
    "a vector of all values": (lambda x: x.flatten(1), 256),
    "groups of channels": (lambda x: x.reshape(-1, 2, 2, 64), 2),
    "repeated columns": (lambda x: x.repeat(1, 1, 1, 2), 4),
    "tokens": (lambda x: x.flatten(2).transpose(1, 2), 64),
}


def sloped(view, count):
    slopes = nn.PReLU(count)
    with torch.no_grad():
        slopes.weight.copy_(torch.linspace(-1, 1, count))
    size = view(torch.zeros(1, 4, 8, 8)).numel()
    return Made(
        lambda m, x: m.last(m.slopes(view(m.first(x))).flatten(1)),
        first=conv(3, 4),
        slopes=slopes,
        last=nn.Linear(size, 3),
    )


CASES |= {f"slopes of {name}": sloped(*given) for name, given in SLOPES.items()}
ALL = {name: (model, (3, 8, 8)) for name, model in CASES.items()}
ALL |= {name: (model, (4, 16)) for name, model in SEQUENCES.items()}


def fused(model: nn.Module, x: torch.Tensor) -> FloatGraph:
    return fuse(capture(model.eval(), x), checked=True)


@pytest.mark.parametrize("name", ALL)
def test_moved_values_are_those_of_pytorch(name):
    model, shape = ALL[name]
    x = torch.randn(2, *shape, generator=torch.Generator().manual_seed(0))
    graph = fused(model, x)
    (output,) = graph.outputs
    with torch.no_grad():
        got, wanted = run(graph, x)[output.name], model(x)
        torch.testing.assert_close(got.reshape(2, *output.shape), wanted, atol=1e-5, rtol=1e-5)


def test_a_split_computes_its_parts_apart():
    model = Made(
        lambda m, x: F.relu(m.first(x)).split([24, 8], 1)[1],
        first=nn.Sequential(conv(3, 32), nn.BatchNorm2d(32)),
    )
    assert str(fused(model, torch.zeros(2, 3, 8, 8))) == (
        "x = input() 3x8x8\n"
        "first.0 = conv(x) 8x8x8 3x3 padding=(1,1,1,1) low=0.0 bias batchnorm\n"
        "return first.0"
    )


def test_a_shuffle_is_an_order_of_weights():
    model = Made(
        lambda m, x: m.last(F.max_pool2d(shuffled(m.first(x), 2), 2).flatten(1)),
        first=conv(3, 8),
        last=nn.Linear(128, 2),
    )
    graph = fused(model, torch.zeros(2, 3, 8, 8))
    assert [node.kind for node in graph.nodes] == ["input", "conv", "maxpool", "conv"]


def test_what_is_cropped_is_not_computed():
    text = str(fused(SEQUENCES["a causal layer"], torch.zeros(2, 4, 16)))
    assert text.splitlines()[1] == (
        "first = conv(x) 4x1x1 3x1 padding=(-11,0,0,0) dilation=(2,1) low=0.0 bias"
    )


def test_a_part_of_no_channels_adds_none():
    """As code has it that joins whatever branches there are."""
    model = Made(
        lambda m, x: m.last(torch.cat([m.first(x), m.first(x)[:, :0] * 2.0], 1)),
        first=conv(3, 4),
        last=conv(4, 2),
    )
    x = torch.randn(2, 3, 6, 6)
    graph = fused(model, x)
    torch.testing.assert_close(run(graph, x)[graph.outputs[0].name], model(x))
