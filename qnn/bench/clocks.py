"""The clock that real place and route reaches, for shifts and multipliers alike."""

from dataclasses import asdict, dataclass

import boards
from hw.spec.config import SvpeConfig
from qnn.eda.place_and_route import Routed, route

SIZE = {"lanes": 16, "rows": 8, "columns": 1}  # fits the largest ECP5
KINDS = {
    # The reference's kind and width.
    "shift, 3 x 8 bits": {},
    "multiply, 8 x 8 bits": {"pe": "multiply", "weight_bits": 8},
}


@dataclass(frozen=True)
class Clocks:
    """Routed arrays, by kind of processing element."""

    routed: dict[str, Routed]

    @property
    def title(self) -> str:
        """A heading that says what was routed, and how."""
        other = boards.reference().title
        return (
            f"an array of {SIZE['lanes']} x {SIZE['rows']} x {SIZE['columns']}, placed and routed "
            f"on ECP5-85 (speed 8) by nextpnr: measured there, no clock of a {other}"
        )

    def to_fields(self) -> dict:
        """Plain values for JSON."""
        return {"ecp5": {name: asdict(found) for name, found in self.routed.items()}}


def measure() -> Clocks:
    """Place and route each kind.

    Raises
    ------
    ToolError
        nextpnr's wheel is not installed, or a tool fails.
    """
    # With one seed for both: results of place and route vary from seed to seed.
    return Clocks({name: route(SvpeConfig(**SIZE, **kind)) for name, kind in KINDS.items()})
