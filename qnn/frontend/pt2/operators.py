"""Which operators a ``.pt2`` file may name: of ATen what computes, quantizers, sums of sizes."""

import math
import operator
import re
from collections.abc import Callable
from contextlib import suppress
from importlib import import_module

import torch
from torch._ops import OpOverload

ATEN = re.compile(r"torch\.ops\.aten\.(?P<name>\w+)\.(?P<overload>\w+)", re.ASCII)
# Of PyTorch's PT2E flow.
QUANTIZER = re.compile(
    r"torch\.ops\.quantized_decomposed\.(?P<name>(de)?quantize_per_(tensor|channel))\.default",
    re.ASCII,
)
# Of what ATen has behind an underscore, which checks less of what it is given, what exports write.
INTERNAL = frozenset(
    """
    _adaptive_avg_pool1d _adaptive_avg_pool2d _adaptive_avg_pool3d _assert_scalar
    _assert_tensor_metadata _cdist_forward _conj _convolution
    _log_softmax _native_batch_norm_legit _native_batch_norm_legit_functional
    _native_batch_norm_legit_no_training _native_batch_norm_legit_no_stats _prelu_kernel
    _reshape_alias _safe_softmax _scaled_dot_product_flash_attention_for_cpu _softmax _to_copy
    _trilinear _unsafe_view _upsample_bicubic2d_aa _upsample_bilinear2d_aa _upsample_nearest_exact1d
    _upsample_nearest_exact2d _weight_norm _weight_norm_interface
    """.split()
)
# A file of the system as a tensor, and memory that no sizes bound.
NEVER = frozenset({"from_file", "set_", "set", "resize_", "resize", "resize_as_", "resize_as"})
# Of sizes that are known when the program runs.
_WORDS = "add sub mul floordiv truediv mod neg eq ne lt le gt ge and_ or_ not_"
OF_SIZES: dict[str, Callable] = {
    **{f"_operator.{word}": getattr(operator, word) for word in _WORDS.split()},
    **{
        f"torch.sym_{word}": getattr(torch, f"sym_{word}")
        for word in "int float max min not".split()
    },
    **{f"math.{word}": getattr(math, word) for word in "ceil floor trunc".split()},
}


def operator_called(target: str) -> Callable | None:
    """The operator of a serialized call; None: a file may not name it, or this torch has none."""
    if target in OF_SIZES:
        return OF_SIZES[target]
    quantizer = QUANTIZER.fullmatch(target)
    if quantizer is not None:
        return _quantizer(quantizer["name"])
    found = ATEN.fullmatch(target)
    if found is None:
        return None
    name = found["name"]
    dunder = name.startswith("__") and name.endswith("__")
    internal = name.startswith("_") and not dunder and name.rstrip("_") not in INTERNAL
    if name in NEVER or internal:
        return None
    overload = getattr(getattr(torch.ops.aten, name, None), found["overload"], None)
    return overload if isinstance(overload, OpOverload) else None


def _quantizer(name):
    # It defines them; a release without it has none.
    with suppress(ImportError):
        import_module("torch.ao.quantization.fx._decomposed")
    return getattr(getattr(torch.ops.quantized_decomposed, name, None), "default", None)


def short_name(target: str) -> str:
    """``aten.relu`` of ``torch.ops.aten.relu.default``, as sentences name it."""
    return target.removeprefix("torch.ops.").removesuffix(".default")
