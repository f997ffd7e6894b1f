"""A transport one of whose accesses goes wrong, and all the ways in which it can."""

from dataclasses import dataclass, field

from hw.spec.registers import RUN_OFFSET, Status

BITS = 32
ONES = (1 << BITS) - 1
# What a bus gives for a read that was lost: nothing, all ones, or what it gave before; and one bit
# that changed its value on the way.
READ_FAULTS = ("zero", "ones", "last", "next register")
# Of all bits, those that mean something in STATUS: its flags, and the lowest of the number.
TOLD_BITS = (*range(len(Status)), RUN_OFFSET)
WRITE_FAULTS = ("lost", "twice", "late")
WAIT_FAULTS = ("early", "unheard")
FAULTS = {"write": WRITE_FAULTS, "wait": WAIT_FAULTS}


@dataclass
class Plan:
    """The access that goes wrong, counted over all cores, and how; ``seen`` has what each did."""

    place: int = -1
    fault: str = ""
    seen: list[str] = field(default_factory=list)
    late: list[tuple] = field(default_factory=list)  # a write that comes once more, after the next

    def now(self, kind: str) -> str:
        """The fault of this access, or nothing."""
        while self.late:
            core, *write = self.late.pop()
            core.write(*write)
        self.seen.append(kind)
        return self.fault if len(self.seen) - 1 == self.place else ""


class FaultyCore:
    """A ``Core`` whose accesses go wrong as ``plan`` says."""

    def __init__(self, core, plan: Plan):
        self._core, self._plan, self._last = core, plan, 0

    def __setattr__(self, name, value):
        own = name in ("_core", "_plan", "_last")
        super().__setattr__(name, value) if own else setattr(self._core, name, value)

    def read(self, address):
        fault = self._plan.now("read")
        value = self._core.read(address + 4 * (fault == "next register"))
        if fault.startswith("bit"):
            value ^= 1 << int(fault.removeprefix("bit "))
        value = {"zero": 0, "ones": ONES, "last": self._last}.get(fault, value)
        self._last = value
        return value

    def write(self, address, value):
        fault = self._plan.now("write")
        if fault != "lost":
            self._core.write(address, value)
        if fault == "twice":
            self._core.write(address, value)
        if fault == "late":
            self._plan.late.append((self._core, address, value))

    def wait(self, cycles):
        fault = self._plan.now("wait")
        if fault == "early":
            return True
        came = self._core.wait(cycles)
        return came and fault != "unheard"


class FaultyTransport:
    """``transport``, through cores that go wrong as ``plan`` says."""

    def __init__(self, transport, plan: Plan):
        self._transport, self.plan = transport, plan
        self.cores = [FaultyCore(core, plan) for core in transport.cores]

    def __getattr__(self, name):
        return getattr(self._transport, name)


def each_fault(seen: list[str], bits=TOLD_BITS):
    """A plan for each way in which one of the accesses ``seen`` can go wrong."""
    faults = FAULTS | {"read": (*READ_FAULTS, *(f"bit {bit}" for bit in bits))}
    for place, kind in enumerate(seen):
        for fault in faults[kind]:
            yield Plan(place, fault)
