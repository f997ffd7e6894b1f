"""The ATen calls that a function of one variable may be made of, and what each takes.

Each gives a value from the values at the same place, and neither draws random numbers nor writes
anywhere. A function that comes from a file can therefore do nothing but compute.
"""

from functools import cache

import torch

CALLS = frozenset(
    (
        # Activation functions.
        *("sigmoid", "special_expit", "tanh", "silu", "gelu", "hardswish", "hardsigmoid", "elu"),
        *("leaky_relu", "selu", "celu", "mish", "softplus", "log_sigmoid", "hardshrink"),
        *("softshrink", "threshold", "hardtanh", "relu", "relu6", "logit"),
        # Functions of one number.
        *("exp", "exp2", "expm1", "log", "log2", "log1p", "log10", "sqrt", "rsqrt", "reciprocal"),
        *("abs", "absolute", "sign", "sgn", "square", "sin", "cos", "tan", "sinh", "cosh", "asin"),
        *("acos", "atan", "asinh", "acosh", "atanh", "erf", "erfc", "erfinv", "round", "floor"),
        *("ceil", "trunc", "frac", "neg", "negative", "positive", "sinc", "nan_to_num", "digamma"),
        *("lgamma", "isnan", "isinf", "isfinite"),
        # Arithmetic, of the variable with itself and with constants.
        *("add", "sub", "rsub", "mul", "div", "true_divide", "multiply", "subtract", "divide"),
        *("pow", "addcmul", "addcdiv", "lerp", "fmod", "remainder", "floor_divide", "atan2"),
        *("hypot", "copysign", "xlogy", "heaviside"),
        # Bounds and choices.
        *("clamp", "clamp_min", "clamp_max", "clip", "maximum", "minimum", "fmax", "fmin"),
        *("where", "masked_fill", "gt", "ge", "lt", "le", "eq", "ne", "logical_and", "logical_or"),
        *("logical_not", "logical_xor", "bitwise_and", "bitwise_or", "bitwise_not", "bitwise_xor"),
    )
)
# Arguments that are one number of the schema's own kind; a tensor's place takes any of ours.
_NUMBERS = {
    "Tensor": (int, float),
    "number": (int, float),
    "float": (int, float),
    "int": (int,),
    "bool": (bool,),
    "str": (str,),
}


@cache
def operator_of(call: str) -> torch._ops.OpOverload:
    """PyTorch's operator ``call``, such as ``gelu.default``.

    Raises
    ------
    ValueError
        It is none of ``CALLS``.
    """
    name, _, overload = call.partition(".")
    packet = getattr(torch.ops.aten, name, None) if name in CALLS else None
    # Those that write to a tensor of the caller's have it as an argument.
    if packet is None or overload not in packet.overloads() or overload.endswith("out"):
        raise ValueError(f"'{call}' is no function of one variable")
    return getattr(packet, overload)


def kind_of(argument: torch.Argument) -> str:
    """What an argument of a schema is, such as ``Tensor``, whether or not it is optional."""
    return str(argument.real_type).removeprefix("Optional[").removesuffix("]")


def fits(argument: torch.Argument, value: object) -> bool:
    """Whether ``value``, which is a plain one, can be given as an argument of a schema."""
    if value is None:
        return str(argument.real_type).startswith("Optional[")
    if isinstance(value, tuple):
        return kind_of(argument) == "Tensor"
    return isinstance(value, _NUMBERS.get(kind_of(argument), ()))
