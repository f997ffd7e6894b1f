"""Terms that differ by output channel: through rounding, training, files and export."""

import pytest
import torch
import torch.nn.functional as F
from torch import nn

from qnn.errors import ModelError
from qnn.ir.encode import encode_input
from qnn.ir.reference import reference
from qnn.nn import artifact
from qnn.nn.learn import finish, learnable, prepare
from qnn.ptq.export import export
from qnn.quant import pow2
from tests.nearest import quantize

TERMS = {"0": [1, 3, 2, 1], "3": (2, 1, 1, 2, 2, 1, 1, 2), "*": 2}
QUICK = {
    "nearest": {},
    "discquant": {"steps": 20, "batch": 16},
    "adaround": {"steps": 20, "samples": 32},
    "gptq": {"samples": 32},
}
ESTIMATORS = {
    "straight_through": {},
    "clipped_straight_through": {},
    "reconstructed": {},
    "stochastic": {},
    "lsq": {},
    "inq": {},
}


def network():
    """A dense convolution, one of groups, and a linear layer."""
    torch.manual_seed(0)
    layers = [nn.Conv2d(4, 4, 3, 1, 1), nn.BatchNorm2d(4), nn.ReLU()]
    layers += [nn.Conv2d(4, 8, 3, 2, 1, groups=4), nn.ReLU(), nn.Flatten(), nn.Linear(128, 5)]
    model, data = nn.Sequential(*layers), torch.randn(64, 4, 8, 8)
    for _ in range(5):
        model(data)
    return model.eval(), data


def checked(quantized, data):
    """Each channel has its terms, the plan says so, and the integers are those of the graph."""
    for name, conv in learnable(quantized):
        codes, plan = conv.indices(), conv.plan
        wanted = TERMS.get(name, 2)
        if name in TERMS:
            assert (plan.terms, plan.channel_terms) == (max(wanted), tuple(wanted))
            used = [[bool(code[row].any()) for code in codes] for row in range(len(codes[0]))]
            spent = [sum(each) for each in used]
            assert all(a <= b for a, b in zip(spent, wanted, strict=True))
            assert not any(any(each[k:]) for each, k in zip(used, wanted, strict=True))
            assert max(spent) == plan.terms
        else:
            assert (plan.terms, plan.channel_terms) == (2, None)
    graph = export(quantized)
    expected = reference(graph, encode_input(graph, data.numpy()))
    for name, tensor in quantized.tensors(data).items():
        assert torch.equal(tensor, torch.from_numpy(expected[name])), name
    return graph


@pytest.mark.parametrize("method", QUICK)
def test_every_method_keeps_to_the_terms_of_channels(method):
    model, data = network()
    options = {"rounding": method, "rounding_options": QUICK[method]}
    checked(quantize(model, data, terms=TERMS, **options), data)


@pytest.mark.parametrize("estimator", ESTIMATORS)
def test_every_estimator_keeps_to_the_terms_of_channels(estimator):
    model, data = network()
    quantized = quantize(model, data, terms=TERMS)
    prepare(quantized, estimator, **ESTIMATORS[estimator])
    optimizer = torch.optim.Adam(quantized.parameters(), lr=0.02)
    for _ in range(3):
        F.cross_entropy(quantized(data), torch.arange(64) % 5).backward()
        assert all(p.grad is None or bool(p.grad.isfinite().all()) for p in quantized.parameters())
        optimizer.step()
    finish(quantized)
    checked(quantized, data)


def test_more_terms_in_some_channels_are_closer_there():
    model, data = network()
    one, mixed = (quantize(model, data, terms=terms) for terms in (1, {"0": [1, 3, 1, 1], "*": 1}))
    errors = [
        (quantized.tensors(data)["0"] * 2.0 ** -int(quantized.layer("0").exponent)).double()
        - model[:3](data)
        for quantized in (one, mixed)
    ]
    before, after = (error.square().mean((0, 2, 3)) for error in errors)
    assert after[1] < 0.2 * before[1]
    # The others keep their weights; their biases are in smaller units now.
    rest = [0, 2, 3]
    assert torch.allclose(before[rest], after[rest], rtol=0.02)
    kept = [
        pow2.values(conv.indices(), conv.weight_exponent, 3)[rest]
        for conv in (quantized.layer("0") for quantized in (one, mixed))
    ]
    assert torch.equal(*kept)


def test_equal_terms_of_channels_are_one_number():
    model, data = network()
    alike = quantize(model, data, terms={"0": [2] * 4, "*": 1})
    assert alike.plan == quantize(model, data, terms={"0": 2, "*": 1}).plan


def test_a_file_keeps_the_terms_of_channels(tmp_path):
    model, data = network()
    quantized = quantize(model, data, terms=TERMS)
    artifact.save(quantized, tmp_path / "m.safetensors")
    loaded = artifact.load(tmp_path / "m.safetensors")
    assert loaded.plan == quantized.plan
    assert str(checked(loaded, data)) == str(export(quantized))


@pytest.mark.parametrize("terms", [[1, 2, 3], [1] * 5, []])
def test_terms_for_another_number_of_channels_are_refused(terms):
    model, data = network()
    with pytest.raises(ModelError) as caught:
        quantize(model, data, terms={"0": terms, "*": 1})
    assert str(caught.value) == (
        f"layer '0' needs terms for each of its 4 output channels, not {len(terms)} numbers; give "
        f"4, or one number for all"
    )
