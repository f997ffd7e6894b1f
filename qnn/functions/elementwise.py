"""Elementwise: a function of one variable, such as an activation, as a list of PyTorch's calls."""

import math
from collections.abc import Sequence
from dataclasses import dataclass, replace

import torch
from torch import Tensor

from qnn.functions.calls import fits, kind_of, operator_of

MOST_CALLS = 256  # of a function: some networks spell an activation out in a dozen
SHOWN = 4  # calls that a text spells out


@dataclass(frozen=True)
class Value:
    """A value that is computed before: number 0 is the variable, n the result of the n-th call."""

    value: int


# What a call is given: a value, a constant of the schema's kind, or a number for each channel.
Given = Value | bool | int | float | str | None | tuple[float, ...]


@dataclass(frozen=True)
class TorchCall:
    """One call of a function: an operator of ATen and its arguments, in the schema's order."""

    call: str
    arguments: tuple[Given, ...]

    def __post_init__(self):
        schema = operator_of(self.call)._schema.arguments
        if len(schema) != len(self.arguments):
            raise ValueError(f"'{self.call}' takes {len(schema)} arguments")
        for argument, given in zip(schema, self.arguments, strict=True):
            value = isinstance(given, Value) and kind_of(argument) == "Tensor"
            if not value and (isinstance(given, Value) or not fits(argument, given)):
                raise ValueError(f"'{self.call}' takes no {given!r} as {argument.name}")
            # A file cannot hold others, and no table an entry for them.
            if isinstance(given, float) and not math.isfinite(given):
                raise ValueError(f"'{self.call}' needs finite numbers, not {given}")

    def __call__(self, values: Sequence[Tensor]) -> Tensor:
        """The result, of the values that are computed before."""
        operator = operator_of(self.call)
        positional, keywords = [], {}
        for argument, given in zip(operator._schema.arguments, self.arguments, strict=True):
            found = _tensor(argument, given, values)
            if argument.kwarg_only:
                keywords[argument.name] = found
            else:
                positional.append(found)
        return operator(*positional, **keywords)

    def text(self, names: Sequence[str]) -> str:
        """The call as an expression, of the expressions of the values before."""
        schema = operator_of(self.call)._schema.arguments
        words = [
            _said(given, names)
            for argument, given in zip(schema, self.arguments, strict=True)
            # What is as usual says nothing, and a schema has many such.
            if not (argument.has_default_value() and argument.default_value == given)
        ]
        return f"{self.call.partition('.')[0]}({','.join(words)})"


@dataclass(frozen=True)
class Elementwise:
    """A function of one variable, the same at every place or with constants for each channel.

    Members
    -------
    calls : in order; the result of the last one is the function's, without any it is the variable
    """

    calls: tuple[TorchCall, ...] = ()

    def __post_init__(self):
        if len(self.calls) > MOST_CALLS:
            raise ValueError(f"a function has at most {MOST_CALLS} calls, not {len(self.calls)}")
        for number, applied in enumerate(self.calls):
            if any(not 0 <= each.value <= number for each in _values(applied)):
                raise ValueError(f"call {number} of a function reads a value that comes later")
        sizes = {len(g) for a in self.calls for g in a.arguments if isinstance(g, tuple)}
        if len(sizes) > 1 or 0 in sizes:
            raise ValueError(f"a function has constants of one number of channels, not {sizes}")
        try:
            # Words such as a rounding mode are PyTorch's own to judge.
            self._on_zeros()
        except (RuntimeError, TypeError, IndexError) as error:
            reason = str(error).splitlines()[0]
            raise ValueError(f"a function cannot be computed: {reason}") from None

    @property
    def channels(self) -> int | None:
        """How many channels it has constants for; None where it is the same for all."""
        given = (g for a in self.calls for g in a.arguments if isinstance(g, tuple))
        return next((len(g) for g in given), None)

    @property
    def is_mask(self) -> bool:
        """Whether its results are true or false."""
        return self._on_zeros().dtype == torch.bool

    @property
    def inverts(self) -> bool:
        """Whether it ends in a reciprocal, so that the greatest results are of the least values."""
        if not self.calls:
            return False
        last = self.calls[-1]
        if last.call == "pow.Tensor_Scalar":
            return last.arguments[1] < 0
        return last.call in ("rsqrt.default", "reciprocal.default")

    def _on_zeros(self):
        return self.raw(torch.zeros(1, self.channels or 1, 1, 1, dtype=torch.float64))

    def __call__(self, x: Tensor) -> Tensor:
        """The function of (batch, channels, height, width), in the dtype of ``x``."""
        return self.raw(x).to(x.dtype)

    def raw(self, x: Tensor) -> Tensor:
        """What the last call gives: of a mask, true or false."""
        values = [x]
        for applied in self.calls:
            values.append(applied(values))
        return values[-1]

    def of(self, inner: "Elementwise") -> "Elementwise":
        """This function of the results of another one."""
        return joined(inner.calls, self.calls, len(inner.calls))

    def at(self, channels: Sequence[int]) -> "Elementwise":
        """The function of those channels alone, in that order."""
        if self.channels is None:
            return self
        return Elementwise(
            tuple(
                replace(
                    applied,
                    arguments=tuple(
                        tuple(g[c] for c in channels) if isinstance(g, tuple) else g
                        for g in applied.arguments
                    ),
                )
                for applied in self.calls
            )
        )

    def __str__(self) -> str:
        if len(self.calls) > SHOWN:
            return f"{len(self.calls)}_calls"
        names = ["x"]
        for applied in self.calls:
            names.append(applied.text(names))
        return names[-1]


IDENTITY = Elementwise()


def applied_to(call: str, arguments: Sequence["Elementwise | Given"]) -> Elementwise:
    """The function that ``call`` computes of functions of one variable and constants."""
    calls: list[TorchCall] = []
    given = []
    for argument in arguments:
        if isinstance(argument, Elementwise):
            argument = Value(_append(calls, argument.calls))
        given.append(argument)
    return Elementwise((*calls, TorchCall(call, tuple(given))))


def joined(first: Sequence[TorchCall], then: Sequence[TorchCall], start: int) -> Elementwise:
    """The calls ``first``, and ``then`` of the value number ``start`` for their variable."""
    calls = list(first)
    last = _append(calls, then, start)
    # Of calls that are there already, the last one may not be the result.
    return Elementwise(tuple(calls[:last]))


def _append(calls, more, start=0) -> int:
    """Put ``more`` behind ``calls``, each only once; returns the number of their result."""
    places = [start]
    for applied in more:
        moved = TorchCall(
            applied.call,
            tuple(Value(places[g.value]) if isinstance(g, Value) else g for g in applied.arguments),
        )
        if moved not in calls:
            calls.append(moved)
        places.append(calls.index(moved) + 1)
    return places[-1]


def _values(applied):
    return [given for given in applied.arguments if isinstance(given, Value)]


def _tensor(argument, given, values):
    if isinstance(given, Value):
        return values[given.value]
    if isinstance(given, tuple):
        return torch.tensor(given, dtype=values[0].dtype, device=values[0].device)[:, None, None]
    if kind_of(argument) == "Tensor" and given is not None:
        # Of the variable's dtype: some operators take no other.
        dtype = torch.bool if isinstance(given, bool) else values[0].dtype
        return torch.tensor(given, dtype=dtype, device=values[0].device)
    return given


def _said(given, names):
    if isinstance(given, Value):
        return names[given.value]
    if isinstance(given, tuple):
        return f"{len(given)}_numbers"
    return f"{given:g}" if isinstance(given, float) else str(given)
