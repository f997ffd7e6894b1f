"""No user meets a refusal whose cure is a synonym: one line for each way to write a thing."""

import re

import pytest
import torch
import torch.nn.functional as F
from torch import nn

import qnn
from qnn.errors import ModelError
from qnn.frontend.capture import capture
from qnn.frontend.fuse import fuse
from qnn.ir.encode import decode, encode_input
from qnn.ir.reference import reference
from tests.float_results import float_results
from tests.frontend.test_odd_models import Made
from tests.nearest import quantize

# Each line uses a few of the parts that it may use.
pytestmark = pytest.mark.filterwarnings("ignore:weights of '")
IMAGES = torch.randn(3, 3, 6, 4, generator=torch.Generator().manual_seed(0))


def model(line) -> nn.Module:
    """A convolution, 8 channels of 6 x 4, and the line behind it, with parts that it may use."""
    torch.manual_seed(0)
    made = Made(
        lambda m, x: line(m, m.first(x)),
        first=nn.Conv2d(3, 8, 3, padding=1),
        point=nn.Conv2d(8, 4, 1),
        depth=nn.Conv2d(6, 6, 3, padding=1, groups=6),
        across=nn.Conv2d(4, 4, 3, padding=1, groups=4),
        up=nn.Linear(24, 10),
        down=nn.Linear(10, 24),
        wide=nn.Linear(4, 5),
        grown=nn.Linear(8, 48),
    )
    made.register_buffer("w", torch.randn(8, 8))
    made.register_buffer("v", torch.randn(8))
    made.register_buffer("s", torch.randn(24, 24))
    made.register_buffer("batched", torch.randn(2, 4, 4))
    return made.eval()


def pooled(x):
    return x.mean((2, 3))


def grouped(m, x):
    """A product with a matrix of its own for each half of the channels."""
    x = x.view(len(x), 2, 4, 24).mT
    return (x @ m.batched).mT.reshape(len(x), 8, 6, 4)


def mixed(m, x):
    """MLP-Mixer's mixing of tokens."""
    tokens = x.flatten(2).mT
    return (tokens + m.down(F.gelu(m.up(tokens.mT))).mT).mean(1)


TAKEN = {
    # Products with constants.
    "matmul": lambda m, x: torch.matmul(pooled(x), m.w),
    "the operator @": lambda m, x: pooled(x) @ m.w.T + m.v,
    "mm": lambda m, x: torch.mm(pooled(x), m.w),
    "mm from the left": lambda m, x: torch.mm(m.w, pooled(x).T).T,
    "mv": lambda m, x: torch.mv(pooled(x), m.v),
    "addmm": lambda m, x: torch.addmm(m.v, pooled(x), m.w, beta=0.5, alpha=2),
    "bmm": lambda m, x: torch.bmm(x.flatten(2).mT, m.w.expand(len(x), 8, 8)),
    "bmm from the left": lambda m, x: torch.bmm(m.w.expand(len(x), 8, 8), x.flatten(2)),
    "baddbmm": lambda m, x: torch.baddbmm(
        m.v, x.flatten(2).mT, m.w.expand(len(x), 8, 8), beta=2, alpha=0.5
    ),
    "a matrix over channels": lambda m, x: m.w @ x.flatten(2),
    "a matrix over space": lambda m, x: x.flatten(2) @ m.s,
    "a matrix for each group": grouped,
    "einsum over channels": lambda m, x: torch.einsum("bchw,oc->bohw", x, m.w),
    "einsum of vectors": lambda m, x: torch.einsum("bc,oc->bo", pooled(x), m.w),
    "einsum over columns": lambda m, x: torch.einsum("bchw,wk->bchk", x, m.w[:4, :4]),
    "tensordot": lambda m, x: torch.tensordot(x, m.w, dims=([1], [0])).permute(0, 3, 1, 2),
    "inner": lambda m, x: torch.inner(pooled(x), m.w),
    "multi_dot": lambda m, x: torch.linalg.multi_dot([pooled(x), m.w, m.w]),
    "a linear layer over columns": lambda m, x: m.wide(x),
    "a linear layer over tokens": mixed,
    # Gates and functions of several tensors.
    "a product of two tensors": lambda m, x: x @ x.mT,
    "glu": lambda m, x: F.glu(x, 1),
    "glu of tokens": lambda m, x: F.glu(x.flatten(2).mT, -1).mean(1),
    "a sum of a list": lambda m, x: sum([x, x.relu(), x.tanh()]),
    "softsign and square": lambda m, x: F.softsign(x) + torch.square(x),
    # Products and sums.
    "cumsum of channels": lambda m, x: x.cumsum(1),
    "cumsum of a sequence": lambda m, x: x.mean(3).cumsum(-1),
    "prod": lambda m, x: x[:, :3].prod(1),
    "addcmul": lambda m, x: torch.addcmul(m.point(x), x[:, :4], x[:, 4:].tanh(), value=0.5),
    "addcdiv": lambda m, x: torch.addcdiv(m.point(x), x[:, :4], x[:, 4:].exp()),
    "lerp": lambda m, x: torch.lerp(m.point(x), x[:, :4], 0.3),
    "lerp by a tensor": lambda m, x: torch.lerp(m.point(x), x[:, :4], x[:, 4:].sigmoid()),
    "fold": lambda m, x: F.fold(F.unfold(x, 2, stride=2), (6, 4), 2, stride=2),
    "overlapping fold": lambda m, x: F.fold(F.unfold(x, 3, padding=1), (6, 4), 3, padding=1),
    "bilinear": lambda m, x: F.bilinear(pooled(x), pooled(x.relu()), m.w.view(1, 8, 8)),
    "distances from constants": lambda m, x: torch.cdist(pooled(x), m.w),
    # Extremes.
    "amax over channels": lambda m, x: x.amax(1, keepdim=True),
    "max over channels": lambda m, x: x[:, :5].max(1)[0],
    "amin over channels": lambda m, x: x.amin(1),
    "amin over space": lambda m, x: x.amin((2, 3)),
    "CBAM's statistics": lambda m, x: torch.cat([x.mean(1, True), x.max(1, True)[0]], 1),
    "adaptive max": lambda m, x: F.adaptive_max_pool2d(x, 1),
    "adaptive max of a sequence": lambda m, x: F.adaptive_max_pool1d(x.flatten(2), 4),
    "hardtanh": lambda m, x: F.hardtanh(x, -0.5, 0.5),
    "threshold": lambda m, x: F.threshold(x, 0.1, 0.2),
    "clip": lambda m, x: x.clip(0, 0.5),
    "clamp in place": lambda m, x: x.clamp_(min=0),
    # Axes.
    "squeeze": lambda m, x: x.mean((2, 3), keepdim=True).squeeze(-1).squeeze(-1),
    "unsqueeze": lambda m, x: pooled(x).unsqueeze(-1).unsqueeze(-1) * x,
    "None for axes": lambda m, x: pooled(x)[:, :, None, None] + x,
    "mean after mean": lambda m, x: x.mean(-1).mean(-1),
    "mean of flat space": lambda m, x: x.flatten(2).mean(2),
    "the first pixel": lambda m, x: x[:, :, 0, 0],
    "images without channels": lambda m, x: F.relu(x[:, 0].unsqueeze(1)),
    "a sequence of one row": lambda m, x: x.mean(3).unsqueeze(2),
    # Places.
    "flip of columns": lambda m, x: m.point(x.flip(3)),
    "flip of both": lambda m, x: x.flip((2, 3)),
    "roll": lambda m, x: m.point(x.roll((1, -1), (2, 3))),
    "transposed images": lambda m, x: m.point(x.transpose(2, 3)),
    "rot90": lambda m, x: m.point(x.rot90(1, (2, 3))),
    "tile": lambda m, x: m.point(x.tile(1, 1, 2, 2)),
    "repeat_interleave": lambda m, x: x.repeat_interleave(2, 2).repeat_interleave(2, 3),
    "expand for upsampling": lambda m, x: (
        x[:, :, :, None, :, None].expand(-1, -1, -1, 2, -1, 2).reshape(len(x), 8, 12, 8)
    ),
    "an image of a vector": lambda m, x: m.point(m.grown(pooled(x)).view(-1, 8, 3, 2)),
    "rows as channels": lambda m, x: m.depth(x.transpose(1, 2)).transpose(1, 2),
    "columns as channels": lambda m, x: m.across(x.transpose(1, 3)).transpose(1, 3),
    "unfold": lambda m, x: F.unfold(x, 3, padding=1).view(len(x), 72, 6, 4),
    "patches by unfold": lambda m, x: x.unfold(2, 2, 2).unfold(3, 2, 2).mean((4, 5)),
    "patches by view": lambda m, x: (
        x.view(-1, 8, 3, 2, 2, 2).permute(0, 1, 3, 5, 2, 4).reshape(-1, 32, 3, 2)
    ),
    "tensors of two sizes": lambda m, x: F.gelu(
        torch.cat([x.flatten(2), F.max_pool2d(x, 2).flatten(2)], 2)
    ).mean(2),
}
REFUSED = {
    "cumprod": (
        lambda m, x: x.cumprod(1),
        "model (aten.cumprod, HERE) is not supported; take the mean over space, x.mean((2, 3)), "
        "and let the layer behind it scale",
    ),
    "topk": (
        lambda m, x: x.topk(2, 1)[0],
        "model (aten.topk, HERE) is not supported; leave it out, and let the host choose from the "
        "outputs",
    ),
    "a matrix for each place": (
        lambda m, x: x.flatten(2).mT.unsqueeze(2) @ torch.arange(192.0).view(24, 8, 1),
        "model (aten.matmul, HERE) needs products with one matrix, or with one for each group of "
        "channels, not 24 matrices for tensors of shape (2, 24, 1, 8); use one for all",
    ),
}


def fused(made: nn.Module):
    return fuse(capture(made, IMAGES), checked=True)


@pytest.mark.parametrize("name", TAKEN)
def test_a_synonym_is_taken_as_pytorch_has_it(name):
    made = model(TAKEN[name])
    graph = fused(made)
    with torch.no_grad():
        (got,), wanted = float_results(graph, IMAGES), made(IMAGES)
    torch.testing.assert_close(got, wanted, atol=1e-4, rtol=1e-4)


@pytest.mark.parametrize("name", REFUSED)
def test_what_has_no_synonym_is_refused_with_its_line(name):
    line, wanted = REFUSED[name]
    with pytest.raises(ModelError) as caught:
        fused(model(line))
    assert re.sub(r"test_odd_models\.py:\d+", "HERE", str(caught.value)) == wanted


NEW = (
    *("bmm", "a matrix over space", "a matrix for each group", "a linear layer over tokens"),
    *("glu", "CBAM's statistics", "amin over space", "flip of both", "an image of a vector"),
    *("rows as channels", "tensors of two sizes"),
)


@pytest.mark.parametrize("name", NEW)
def test_a_synonym_has_the_same_integers_everywhere(name):
    made = model(TAKEN[name])
    quantized = quantize(made, IMAGES, weight_bits=3, terms=4, activation_bits=10)
    graph = qnn.export(quantized)
    with torch.no_grad():
        given, real = quantized(IMAGES).numpy(), made(IMAGES).numpy()
    (found,) = decode(graph, reference(graph, encode_input(graph, IMAGES.numpy())))
    assert (found == given).all()
    # The rounding's own error: a wrong place would be as large as the values.
    assert abs(found - real).max() < 0.1 * abs(real).max()
