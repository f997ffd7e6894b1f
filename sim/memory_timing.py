"""How fast the simulated memory answers, where it stalls, and which bytes answer errors."""

from dataclasses import dataclass, fields


@dataclass(frozen=True)
class MemoryTiming:
    """How the memory behaves; stalls are chances in 256 that a channel stands still in a cycle.

    Each direction moves ``rate`` bytes per cycle, None as many as the bus is wide. With a ``seed``
    other than 0, bursts of different ids overtake one another. The addresses answer SLVERR; they
    count bytes as the accelerator does.
    """

    latency: int = 32
    seed: int = 0
    stall_ar: int = 0
    stall_r: int = 0
    stall_aw: int = 0
    stall_w: int = 0
    stall_b: int = 0
    error_read: int | None = None
    error_write: int | None = None
    rate: int | None = None

    @staticmethod
    def stalled(seed: int, chance: int = 96) -> "MemoryTiming":
        """Random stalls on all five channels."""
        return MemoryTiming(3, seed, chance, chance, chance, chance, chance)

    @property
    def stalls(self) -> bool:
        """Whether any channel stands still at times."""
        return any((self.stall_ar, self.stall_r, self.stall_aw, self.stall_w, self.stall_b))

    def plusargs(self) -> list[str]:
        """The settings as Verilog plusargs, which ``memory.sv`` reads."""
        arguments = []
        for field in fields(self):
            value = getattr(self, field.name)
            if value is not None:
                text = f"{value:x}" if field.name.startswith("error") else str(value)
                arguments.append(f"{field.name}={text}")
        return arguments
