"""Checkpoints whose names, parts or tools differ from the model's, as other people's do."""

from collections import OrderedDict

import pytest
import torch
from safetensors.torch import save_file
from torch import nn

from qnn.nn.weights import load_weights
from tests.nn.weights.small import FIT, STATE, TAIL, loaded, network, refusal, renamed, under


def test_what_holds_the_same_under_names_that_say_nothing_is_refused(tmp_path):
    model = nn.ModuleDict({"query": nn.Linear(2, 2), "key": nn.Linear(2, 2)})
    torch.save(
        {n.replace("query", "k").replace("key", "q"): t for n, t in model.state_dict().items()},
        tmp_path / "x.pt",
    )
    assert refusal(tmp_path / "x.pt", model) == (
        f"{FIT}'query', 'key' hold the same, and neither names nor numbers tell them apart{TAIL}"
    )


@pytest.mark.parametrize("bias", [True, False])
def test_folded_normalisations_are_called_so(bias, tmp_path):
    state = {n: t for n, t in STATE.items() if not n.startswith("bn.")}
    model = network()
    if not bias:  # as layers in front of a normalisation mostly are, whose folding adds one
        model.conv.bias = None
    torch.save(state, tmp_path / "x.pt")
    assert refusal(tmp_path / "x.pt", model) == (
        f"{FIT}it lacks normalisation 'bn', as if folded into the layers before; give the "
        f"checkpoint from before that, or a model with biases and no normalisations"
    )


def test_a_file_of_safetensors_keeps_no_order_and_needs_none(tmp_path):
    layers = {f"layer{n}": nn.Linear(2, 2) for n in range(12)}
    model, path = nn.Sequential(OrderedDict(layers)), tmp_path / "x.safetensors"
    with torch.no_grad():
        for n, layer in enumerate(layers.values()):
            layer.bias.fill_(n)
    save_file(renamed(model.state_dict(), layer="blocks."), path)
    other = nn.Sequential(*(nn.Linear(2, 2) for _ in range(12)))
    load_weights(other, path)
    assert [float(layer.bias[0].detach()) for layer in other] == list(range(12))


@pytest.mark.filterwarnings("ignore")  # the old form of weight_norm is on its way out
@pytest.mark.parametrize("split", [nn.utils.weight_norm, nn.utils.parametrizations.weight_norm])
@pytest.mark.parametrize("axis", [0, 1, None])
def test_weights_of_lengths_and_directions_are_put_together(split, axis, tmp_path):
    if axis is None and split is not nn.utils.weight_norm:
        pytest.skip("the parametrization takes no norm of all values")
    model, path = network(), tmp_path / "x.pt"
    split(model.conv, dim=axis)
    with torch.no_grad():
        next(p for n, p in model.conv.named_parameters() if n.endswith(("_g", "0"))).mul_(3)
    torch.save({"model": under("module.", model.state_dict()), "epoch": 1}, path)
    model.conv(torch.ones(1, 1, 3, 3))  # the old form computes its weight then
    wanted, other = model.conv.weight, network()
    said = load_weights(other, path, "net").note
    assert torch.allclose(other.conv.weight, wanted, rtol=1e-6)
    assert said == (
        f"checkpoint {path}: took 'model'; stripped 'module.' from 9 names; made 1 weight of "
        f"lengths and directions; ignored 'epoch'"
    )
    # A model that has such parts itself takes them as they are.
    again = network()
    split(again.conv, dim=axis)
    assert "directions" not in load_weights(again, path).note
    again.conv(torch.ones(1, 1, 3, 3))
    assert torch.equal(again.conv.weight, wanted)


def test_a_checkpoint_of_lightning_fabric_is_loaded(tmp_path):
    fabric = pytest.importorskip("lightning_fabric").Fabric(accelerator="cpu", devices=1)
    model = fabric.setup(network())
    fabric.save(tmp_path / "x.ckpt", {"net": model, "step": 3})
    assert loaded(tmp_path / "x.ckpt") == ["took 'net'; ignored 'step'"]


def test_the_table_has_each_tensor_under_both_names(tmp_path):
    torch.save(under("module.", renamed(fc="head")), tmp_path / "x.pt")
    found = load_weights(network(), tmp_path / "x.pt")
    assert found.by_structure
    assert (
        str(found)
        == """\
conv.weight     = module.conv.weight      2x1x3x3
conv.bias       = module.conv.bias        2
bn.weight       = module.bn.weight        2
bn.bias         = module.bn.bias          2
bn.running_mean = module.bn.running_mean  2
bn.running_var  = module.bn.running_var   2
fc.weight       = module.head.weight      3x2
fc.bias         = module.head.bias        3"""
    )
