"""Networks of Brevitas: their quantizers as one call each, with the numbers that they have now.

Brevitas is read by its modules and never imported: who has such a network has loaded it. A copy of
the network runs once as it is. Each quantizer's scale, zero point and width are those of what it
gave then; weights and biases become the values that they are quantized to.
"""

import copy
from typing import Any, NamedTuple

import torch
from torch import Tensor, nn

from qnn.errors import ModelError, first_line
from qnn.functions.given import GivenQuantizer, rounding_of

PACKAGE = "brevitas."
ACTIVATIONS = ("input_quant", "act_quant", "output_quant")
PARAMETERS = (("weight_quant", "weight"), ("bias_quant", "bias"))
POOLS = {"TruncAvgPool2d": nn.AvgPool2d, "TruncAdaptiveAvgPool2d": nn.AdaptiveAvgPool2d}
USE = "use Brevitas' fixed-point quantizers"


def is_brevitas(model: nn.Module) -> bool:
    """Whether a module of the network is one of Brevitas'."""
    return any(_is_theirs(each) for each in model.modules())


def _is_theirs(value):
    return any(kind.__module__.startswith(PACKAGE) for kind in type(value).__mro__)


@torch.library.custom_op("qnn::quantizer", mutates_args=())
def quantizer(
    input: Tensor,
    scale: float,
    zero_point: int,
    least: int,
    most: int,
    bits: int,
    signed: bool,
    rounding: str,
    fault: str,
) -> Tensor:
    """``input`` as ``GivenQuantizer`` quantizes it: one call of an exported program."""
    given = GivenQuantizer(scale, zero_point, least, most, bits, signed, rounding, fault)
    return input.clone() if fault else given(input)


@quantizer.register_fake
def _(input, *numbers):
    return torch.empty_like(input)


class Quantizers(nn.Module):
    """An activation, and then quantizers one after the other, in place of one of Brevitas'.

    It has the attributes that layers of Brevitas ask their quantizers for.
    """

    requires_quant_input = False

    def __init__(self, activation: nn.Module | None, *given: GivenQuantizer):
        super().__init__()
        self.activation, self.given = activation, given
        self.is_quant_enabled = bool(given)

    def forward(self, x: Tensor, *unused: Any) -> Tensor:
        """``x`` quantized, as a plain tensor."""
        x = x if self.activation is None else self.activation(x)
        for each in self.given:
            x = quantizer(
                x,
                each.scale,
                each.zero_point,
                each.least,
                each.most,
                each.bits,
                each.signed,
                each.rounding,
                each.fault,
            )
        return x


class _Seen(NamedTuple):
    """What a quantizer was given, and what it gave."""

    place: int  # of its operand in memory, which tells layers that share a quantizer apart
    given: tuple[Any, ...]
    result: Any


def without_brevitas(model: nn.Module, images: tuple[Tensor, ...]) -> nn.Module:
    """A copy of ``model`` for evaluation that gives the same, with each quantizer as one call.

    Parameters
    ----------
    images : what the network takes, one tensor for each of its inputs

    Raises
    ------
    ModelError
        The network cannot run, or would compute otherwise.
    """
    copied = copy.deepcopy(model).eval()
    with torch.no_grad():
        seen, wanted = _run(copied, images)
        for layer in list(copied.modules()):
            if _is_theirs(layer):
                _replace(layer, seen)
        for parent in list(copied.modules()):
            for name, child in list(parent.named_children()):
                if type(child).__name__ in POOLS and _is_theirs(child):
                    setattr(parent, name, _pool(child, seen))
        given = [each for m in copied.modules() if type(m) is Quantizers for each in m.given]
        # Of a quantizer that has no grid of ours nothing is left to compare.
        if not any(each.fault for each in given):
            _check_same(copied, images, wanted)
    return copied


def _run(model, images):
    """What each quantizer was given and gave, by the module, and the network's results."""
    seen: dict[nn.Module, list[_Seen]] = {}

    def keep(module, given, result):
        place = 0 if _is_theirs(given[0]) else given[0].data_ptr()
        seen.setdefault(module, []).append(_Seen(place, given, result))

    names = (*ACTIVATIONS, "weight_quant", "bias_quant", "trunc_quant")
    proxies = {
        child
        for layer in model.modules()
        for name, child in layer.named_children()
        if name in names and _is_theirs(child)
    }
    hooks = [each.register_forward_hook(keep) for each in proxies]
    try:
        do = "give data of the shape that the model takes"
        result = _called(model, images, "take its input", do)
    finally:
        for hook in hooks:
            hook.remove()
    return seen, result


def _called(model, images, what, do):
    """The results of the user's code, whose faults say what it cannot, and what to do."""
    try:
        return model(*(x.clone() for x in images))
    except Exception as error:  # any: it is the user's code
        text = f"model of Brevitas cannot {what}: {first_line(error)}; {do}"
        raise ModelError(text) from error


def _is_tensor(value):
    return isinstance(value, Tensor)


def _replace(layer, seen):
    """Put plain modules in the place of a layer's quantizers."""
    if hasattr(layer, "return_quant_tensor"):
        layer.return_quant_tensor = False
    for name in ACTIVATIONS:
        proxy = getattr(layer, name, None)
        if isinstance(proxy, nn.Module) and _is_theirs(proxy):
            setattr(layer, name, _activation(proxy, seen))
    for name, parameter in PARAMETERS:
        proxy, held = getattr(layer, name, None), getattr(layer, parameter, None)
        if isinstance(proxy, nn.Module) and _is_theirs(proxy) and held is not None:
            own = [each for each in seen.get(proxy, []) if each.place == held.data_ptr()]
            # What it is quantized to, in its own place, so that the layer reads it.
            held.data = _plain(own[-1].result).clone() if own else held.data
            setattr(layer, name, Quantizers(None))
    proxy = getattr(layer, "trunc_quant", None)
    if type(layer).__name__ not in POOLS and isinstance(proxy, nn.Module) and _is_theirs(proxy):
        layer.trunc_quant = Quantizers(None, *_truncation(proxy, seen))


def _activation(proxy, seen):
    fused = getattr(proxy, "fused_activation_quant_proxy", None)
    activation = None if fused is None else fused.activation_impl
    results = [each.result for each in seen.get(proxy, [])]
    if not proxy.is_quant_enabled or not results:
        return Quantizers(activation)
    return Quantizers(activation, _given(proxy, fused.tensor_quant, results))


def _given(proxy, tensor_quant, results):
    """The quantizer by its own numbers, or why it has none of ours."""
    (first, *rest), fault = results, ""
    if _quantized_to(first) is None:
        # Without a QuantTensor to say it, as of quantizers in floats.
        return _refused(f"needs whole numbers, not {type(proxy).__name__}")
    scale, zero_point, bits = (float(each.reshape(-1)[0]) for each in _quantized_to(first))
    signed, narrow = bool(first.signed), bool(proxy.is_narrow_range)
    rounding = _rounding(tensor_quant)
    if any(each.numel() != 1 for each in _quantized_to(first)):
        fault = "needs one scale, not one for each channel"
    elif any(float(_quantized_to(each)[0]) != scale for each in rest):
        fault = "needs one scale, not one for each call"
    elif "Dynamic" in type(proxy).__name__:
        fault = "needs a scale that no input changes"
    elif rounding is None:
        fault = "needs a rounding of Brevitas, or floor(x + 1/2)"
    elif bits % 1 or zero_point % 1:
        fault = f"needs whole bits and zero points, not {bits:g} and {zero_point:g}"
    if fault:
        return _refused(fault)
    if rounding == "SIGN":
        return GivenQuantizer(scale, 0, -1, 1, 2, True, rounding)
    least = -(1 << int(bits) - 1) + narrow if signed else 0
    most = (1 << int(bits) - 1) - 1 if signed else (1 << int(bits)) - 1 - narrow
    return GivenQuantizer(scale, int(zero_point), least, most, int(bits), signed, rounding)


def _quantized_to(result):
    """Scale, zero point and bits that a result says; None if it says none."""
    found = tuple(getattr(result, name, None) for name in ("scale", "zero_point", "bit_width"))
    return found if all(_is_tensor(each) for each in found) else None


def _refused(fault):
    return GivenQuantizer(1.0, 0, -1, 1, 2, True, "EVEN", f"{fault}; {USE}")


def _rounding(tensor_quant):
    """Which rounding a quantizer has, by what it does."""
    kinds = [type(each).__name__ for each in tensor_quant.modules()]
    if any("BinaryQuant" in kind for kind in kinds):
        return "SIGN"
    rounds = [
        each.float_to_int_impl
        for each in tensor_quant.modules()
        if isinstance(getattr(each, "float_to_int_impl", None), nn.Module)
    ]
    return rounding_of(rounds[0]) if rounds else None


def _truncation(proxy, seen) -> list[GivenQuantizer]:
    """Rounding to the steps of the result: those of the operand's are of its whole numbers."""
    results = [each.result for each in seen.get(proxy, [])]
    if not proxy.is_quant_enabled or not results:
        return []
    return [_given(proxy, proxy.tensor_quant, results)]


def _pool(layer, seen):
    """An average, and what truncates it."""
    kind = POOLS[type(layer).__name__]
    names = [*kind.__constants__]
    average = kind(**{name: getattr(layer, name) for name in names})
    return nn.Sequential(average, Quantizers(None, *_truncation(layer.trunc_quant, seen)))


def _check_same(copied, images, wanted):
    """Return if the copy gives what the network gave."""
    do = "let its forward use no attribute of QuantTensor"
    found = _called(copied, images, "run on plain tensors", do)
    for one, other in zip(_leaves(found), _leaves(wanted), strict=True):
        if not torch.equal(one, other):
            worst = float((one - other).abs().max())
            raise ModelError(
                f"model of Brevitas needs quantizers that are read alike, but its outputs differ "
                f"by {worst:g}; report it with the quantizers that it uses"
            )


def plain_results(model: nn.Module) -> nn.Module:
    """``model``, which from now on gives plain tensors where it gave tensors with their scales."""
    model.register_forward_hook(lambda module, given, result: _plain(result))
    return model


def _plain(result):
    if _is_theirs(result):
        return result.value
    if type(result) in (list, tuple):
        return type(result)(_plain(each) for each in result)
    return {k: _plain(v) for k, v in result.items()} if isinstance(result, dict) else result


def _leaves(result) -> list[Tensor]:
    result = _plain(result)
    if _is_tensor(result):
        return [result]
    parts = result.values() if isinstance(result, dict) else result
    return [leaf for part in parts for leaf in _leaves(part)]
