"""Functions in a quantized network: equal integers everywhere, and gradients that are their own."""

import numpy as np
import pytest
import torch
import torch.nn.functional as F
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import nn

from qnn.errors import ModelError, QnnError
from qnn.ir.check import check
from qnn.ir.encode import encode_input
from qnn.ir.reference import reference
from qnn.nn.artifact import load, save
from qnn.nn.learn import finish, prepare
from qnn.nn.lookup import Lookup, _Sloped
from qnn.ptq.export import export
from qnn.quant.qtype import QType
from tests.functions.texts import function
from tests.nearest import quantize

FUNCTIONS = (
    nn.Sigmoid(),
    nn.SiLU(),
    nn.GELU(),
    nn.Hardswish(),
    nn.LeakyReLU(0.1),
    nn.PReLU(4),
    nn.Softplus(),
    nn.ELU(),
)


class Square(nn.Module):
    def forward(self, x):
        return x * x + 0.5


@st.composite
def quantized(draw):
    """A network of functions between convolutions, over sums, alone and at the end."""
    torch.manual_seed(draw(st.integers(0, 999)))
    pick = st.sampled_from((*FUNCTIONS, Square()))
    first, second, last = draw(pick), draw(pick), draw(pick)

    class Net(nn.Module):
        def __init__(self):
            super().__init__()
            self.a, self.b, self.c = nn.Conv2d(3, 4, 3), nn.Conv2d(4, 4, 1), nn.Conv2d(4, 4, 2)
            self.f, self.g, self.h = first, second, last
            self.norm = nn.BatchNorm2d(4)

        def forward(self, x):
            y = self.f(self.norm(self.a(x)))
            return self.h(self.c(self.g(self.b(y) + y)))

    x = torch.randn(6, 3, 7, 6) * 2.0 ** draw(st.integers(-3, 3))
    bits = draw(st.sampled_from((4, 8, 8, 12, 16)))
    terms = draw(st.integers(1, 4))
    return quantize(Net().eval(), x, terms=terms, activation_bits=bits), x


@settings(max_examples=25, deadline=None)
@given(quantized())
def test_functions_give_the_same_integers_in_pytorch_and_in_the_reference(case):
    model, x = case
    graph = export(model)
    check(graph)
    wanted = reference(graph, encode_input(graph, x.numpy()))
    for name, got in model.tensors(x).items():
        np.testing.assert_array_equal(got.numpy(), wanted[name], name)


def quantized_silu(**options):
    torch.manual_seed(0)
    model = nn.Sequential(nn.Conv2d(3, 4, 3), nn.SiLU(), nn.Conv2d(4, 2, 1))
    x = torch.randn(16, 3, 8, 8)
    return quantize(model.eval(), x, **options), model, x


@torch.no_grad()
def test_a_function_of_8_bits_is_close_and_one_of_12_bits_closer():
    noise = []
    for bits in (8, 16):
        got, model, x = quantized_silu(terms=4, activation_bits=bits)
        wanted = model(x)
        noise.append(float((got(x) - wanted).square().mean() / wanted.square().mean()))
    assert noise[0] < 10**-3.5
    assert noise[1] < 10**-5


def test_training_gives_what_evaluation_gives():
    model, _, x = quantized_silu(terms=2)
    wanted = model(x)
    model.train()
    torch.testing.assert_close(model(x), wanted, rtol=0, atol=1e-6)


@pytest.mark.parametrize("text", ["silu(x)", "tanh(x)", "softplus(x)", "mul(x,sigmoid(x))"])
def test_the_gradient_is_that_of_the_float_function_inside_the_clamps(text):
    one, index, result = function(text), QType(12, True, 8), QType(16, True, 12)
    lookup = Lookup(one, index.bits)
    lookup.fill(index.exponent, result)
    reals = torch.linspace(-9, 9, 999)[None, None, None]
    v = (reals * 2.0**index.exponent).requires_grad_()
    (got,) = torch.autograd.grad((lookup.learn(v, result) * result.scale).sum(), v)
    real = reals.clone().requires_grad_()
    (wanted,) = torch.autograd.grad(one(real).sum(), real)
    inside = (reals.abs() < 7.9).squeeze()
    step = 2.0**-index.exponent
    torch.testing.assert_close(
        got.squeeze()[inside] / step, wanted.squeeze()[inside], atol=4e-3, rtol=0
    )
    assert not got[reals.abs() > 8.1].any()


def test_a_network_with_a_function_learns():
    model, wanted, x = quantized_silu()
    prepare(model)
    optimizer = torch.optim.SGD(model.parameters(), 0.05)
    losses = []
    for _ in range(12):
        loss = F.mse_loss(model(x), wanted(x).detach())
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        losses.append(float(loss.detach()))
    finish(model)
    graph = export(model)
    values = reference(graph, encode_input(graph, x.numpy()))
    for name, got in model.tensors(x).items():
        np.testing.assert_array_equal(got.numpy(), values[name], name)
    assert losses[-1] < losses[0]


def test_a_model_with_a_function_comes_back_from_its_file(tmp_path):
    model, _, x = quantized_silu()
    save(model, tmp_path / "q.safetensors")
    again = load(tmp_path / "q.safetensors")
    assert again.plan == model.plan
    assert torch.equal(again(x), model(x))


def test_a_file_whose_table_is_of_another_function_is_refused(tmp_path):
    model, _, _ = quantized_silu()
    model.layer("0").lookup.table.neg_()
    save(model, tmp_path / "q.safetensors")
    with pytest.raises(QnnError) as caught:
        load(tmp_path / "q.safetensors")
    assert str(caught.value) == (
        f"{tmp_path}/q.safetensors: layer '0' needs the table of silu(x), but has another; "
        f"quantize the model again"
    )


def test_where_a_function_is_flat_the_index_is_clipped():
    torch.manual_seed(0)
    model = nn.Sequential(nn.Conv2d(1, 1, 1, bias=False), nn.Sigmoid(), nn.Conv2d(1, 1, 1))
    nn.init.constant_(model[0].weight, 64.0)
    got = quantize(model.eval(), torch.randn(64, 1, 8, 8))
    # Sums reach 200, and the sigmoid changes nothing beyond 6.
    assert got.layer("0").lookup.index.high * got.layer("0").lookup.index.scale < 17


def test_a_value_that_is_no_number_is_refused_by_name():
    model = nn.Sequential(nn.Conv2d(1, 1, 1), nn.Identity())
    model[1].forward = torch.log
    with pytest.raises(ModelError) as caught:
        quantize(model.eval(), torch.randn(8, 1, 4, 4))
    assert str(caught.value) == (
        "layer '0' gives NaN or infinity on the calibration data; check the data's scale and the "
        "weights"
    )


@given(
    st.integers(0, 99),
    st.sampled_from((1, 3)),
    st.sampled_from((torch.contiguous_format, torch.channels_last)),
    st.sampled_from((torch.float32, torch.bfloat16)),
)
def test_entries_and_slopes_are_those_at_the_indices(seed, rows, memory_format, dtype):
    generator = torch.Generator().manual_seed(seed)
    low, entries = -8, 16
    table = torch.randint(-99, 99, (rows, entries), dtype=torch.int32, generator=generator)
    slopes = torch.randint(-9, 9, (rows, entries), generator=generator).float()
    q = torch.randint(low, low + entries, (2, 3, 4, 5), generator=generator).to(dtype)
    q = q.contiguous(memory_format=memory_format).requires_grad_()
    found = _Sloped.apply(q, table, slopes, low)
    (gradient,) = torch.autograd.grad(found.sum() * 2, q)
    assert found.dtype == gradient.dtype == dtype
    for image, channel, row, column in np.ndindex(*q.shape):
        entry = int(q[image, channel, row, column]) - low
        of_channel = channel if rows > 1 else 0
        assert found[image, channel, row, column] == table[of_channel, entry].to(dtype)
        assert gradient[image, channel, row, column] == 2 * slopes[of_channel, entry]
