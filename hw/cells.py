"""Boolean functions and adders as UltraScale+ cells: LUTs, two functions in one, carry chains."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from itertools import product

from amaranth import *
from amaranth.hdl import Value

# A LUT gives two functions, at O5 and O6, where both together have five inputs (UG574).
PAIR_INPUTS = 5
CHAIN = 8  # bits of a CARRY8


@dataclass(frozen=True)
class Net:
    """One bit of a value; two nets with the same key are the same wire."""

    # The identity of a value and a bit: Amaranth's values compare by building hardware.
    key: tuple[int, int]
    value: Value = None  # of the same key, the same

    def __eq__(self, other):
        return isinstance(other, Net) and self.key == other.key

    def __hash__(self):
        return hash(self.key)


Bit = Net | int  # 0 and 1 are constants


@dataclass(frozen=True)
class Function:
    """A truth table over nets: bit i of ``table`` is its value where net n is bit n of i."""

    nets: tuple[Net, ...]
    table: int

    @staticmethod
    def of(rule: Callable[..., int], *inputs: Bit) -> "Function":
        """The function ``rule`` of the bits, without the nets that it does not depend on."""
        nets = tuple(dict.fromkeys(bit for bit in inputs if isinstance(bit, Net)))
        table = 0
        for number, values in enumerate(_assignments(len(nets))):
            known = dict(zip(nets, values, strict=True))
            table |= bool(rule(*(known.get(bit, bit) for bit in inputs))) << number
        # A net without influence would take an input that a second function could use.
        made = Function(nets, table)
        for net in nets:
            made = made._without(net)
        return made

    def over(self, nets: Sequence[Net]) -> int:
        """The truth table over ``nets``, which must contain the function's own."""
        places = [nets.index(net) for net in self.nets]
        table = 0
        for number in range(1 << len(nets)):
            own = sum((number >> place & 1) << n for n, place in enumerate(places))
            table |= (self.table >> own & 1) << number
        return table

    def _without(self, net):
        """The same function, without ``net`` if its value does not depend on it."""
        rest = tuple(other for other in self.nets if other != net)
        tables = []
        for value in (0, 1):
            table = 0
            for number in range(1 << len(rest)):
                bits = {other: number >> n & 1 for n, other in enumerate(rest)} | {net: value}
                own = sum(bits[other] << n for n, other in enumerate(self.nets))
                table |= (self.table >> own & 1) << number
            tables.append(table)
        return Function(rest, tables[0]) if tables[0] == tables[1] else self


def nets(value: Value) -> list[Net]:
    """The bits of ``value``, lowest first."""
    return [Net((id(value), n), value[n]) for n in range(len(value))]


def net(value: Value) -> Bit:
    """A value of one bit; the same object is the same net."""
    return value.value if isinstance(value, Const) else Net((id(value), 0), value)


def extended(bits: Sequence[Bit], place: int) -> Bit:
    """Bit ``place`` of a signed number: 0 below it, its sign above."""
    return 0 if place < 0 else bits[min(place, len(bits) - 1)]


def widened(value: Value, width: int) -> list[Bit]:
    """The lowest ``width`` bits of a number, which its shape says to be signed or not."""
    bits = nets(value)
    above = bits[-1] if value.shape().signed else 0
    return [bits[n] if n < len(bits) else above for n in range(width)]


class Cells:
    """Places cells in a module.

    Parameters
    ----------
    m : amaranth.Module
    """

    def __init__(self, m):
        self._m = m
        self._kept = []  # what the keys of nets are the ids of
        self._pairs = 0

    def functions(self, wanted: Sequence[Function]) -> list[Bit]:
        """The values of functions of at most six nets each, two in a LUT where five nets do."""
        results: list[Bit | None] = [_trivial(function) for function in wanted]
        # Pairs are found greedily: functions of one stage come in order and neighbours share nets.
        left = [n for n, result in enumerate(results) if result is None]
        while left:
            first = left.pop(0)
            second = next((n for n in left if share_a_lut(wanted[first], wanted[n])), None)
            if second is None:
                results[first] = self.single(wanted[first])
            else:
                left.remove(second)
                results[first], results[second] = self.pair(wanted[first], wanted[second])
        return results

    def pair(self, low: Function, high: Function, at: Net | None = None) -> tuple[Net, Net]:
        """Two functions of five nets in all, in one LUT: ``low`` comes out at O5, as net ``at``.

        Each is a cell of its own nets alone, so that no timer sees paths through the others' pins;
        the property puts both into one LUT (UG912).
        """
        self._pairs += 1
        together = {"a_HLUTNM": f"pair_{self._pairs}"}
        return self._lut(low, at, **together), self._lut(high, **together)

    def chain(
        self, select: Sequence[Bit], other: Sequence[Bit], carry: Bit, *, carry_out: bool = False
    ) -> Value:
        """Sum of a carry chain: where ``select`` is 0, ``other`` is carried on.

        With ``carry_out`` the last place's carry is the bit above: a place has registers for both
        its sum and its carry. A bit of ``select`` comes from a LUT at O6. One of ``other`` comes
        from the same LUT at O5, or from anywhere by the bypass input. The lowest bypass input is
        taken by a ``carry`` that is a net (UG574).
        """
        sums, carries = self._carries(select, other, carry)
        return Cat(sums, carries[-1]) if carry_out else Cat(sums)

    def carried(self, select: Sequence[Bit], other: Sequence[Bit], carry: Bit) -> Value:
        """The carry out of the last bit of such a chain."""
        return self._carries(select, other, carry)[1][-1]

    def choose(
        self, kind: str, zeros: Sequence[Bit], ones: Sequence[Bit], select: Net
    ) -> list[Bit]:
        """Bits of ``ones`` where ``select``, else of ``zeros``, by cells MUXF7 or MUXF8.

        Both must come from LUTs of their own, or from the kind of multiplexer before.
        """
        results = []
        for zero, one in zip(zeros, ones, strict=True):
            out = self.wire()
            self._m.submodules += Instance(
                kind, i_I0=_value(zero), i_I1=_value(one), i_S=select.value, o_O=out.value
            )
            results.append(out)
        return results

    def single(self, function: Function, at: Net | None = None) -> Net:
        """The value of one function, as net ``at``, in a LUT of its own, as chains need it."""
        return self._lut(function, at)

    def wire(self) -> Net:
        """A new net."""
        signal = Signal()
        # Without it Python may give the id of a signal that is gone to a new one.
        self._kept.append(signal)
        return Net((id(signal), 0), signal)

    def _carries(self, select, other, carry):
        """Sums and carries of each place of a chain."""
        sums, carries, carry = [], [], _value(carry)
        # The carry out of the highest bit of one CARRY8 goes into the next one's lowest.
        for start in range(0, len(select), CHAIN):
            s, d = (Cat(_value(b) for b in v[start : start + CHAIN]) for v in (select, other))
            out, carried = Signal(CHAIN), Signal(CHAIN, name="carries")
            self._m.submodules += Instance(
                "CARRY8",
                p_CARRY_TYPE="SINGLE_CY8",
                i_S=Cat(s, C(0, CHAIN - len(s))),
                i_DI=Cat(d, C(0, CHAIN - len(d))),
                i_CI=carry,
                i_CI_TOP=C(0, 1),
                o_O=out,
                o_CO=carried,
            )
            carry = carried[-1]
            sums.extend(out[: len(s)])
            carries.extend(carried[: len(s)])
        return sums, carries

    def _lut(self, function, out=None, **attributes):
        out, count = out or self.wire(), len(function.nets)
        ports = {f"i_I{n}": net.value for n, net in enumerate(function.nets)}
        if _trivial(function) is not None:
            # A chain needs its LUT, though another wire has the same value.
            attributes["a_DONT_TOUCH"] = "true"
        self._m.submodules += Instance(
            f"LUT{count}",
            p_INIT=C(function.table, 1 << count),
            **ports,
            **attributes,
            o_O=out.value,
        )
        return out


def word(bits: Sequence[Bit]) -> Value:
    """The bits as one value, lowest first."""
    return Cat(_value(bit) for bit in bits)


def _value(bit):
    return bit.value if isinstance(bit, Net) else C(bit, 1)


def _assignments(count):
    """Every value of ``count`` bits, the first changing fastest."""
    return (values[::-1] for values in product((0, 1), repeat=count))


def _trivial(function):
    """The constant or the net that a function is, or None."""
    if not function.nets:
        return function.table & 1
    return function.nets[0] if len(function.nets) == 1 and function.table == 0b10 else None


def share_a_lut(one: Function, other: Function) -> bool:
    """Whether one LUT can give both."""
    return len({*one.nets, *other.nets}) <= PAIR_INPUTS
