"""Runs a board's whole design in RTL, from the bits on its serial pins to those that it answers."""

import json
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path

from qnn.files import scratch_folder
from sim import runner

BENCH = "sim.bench.serial_line"


@dataclass(frozen=True)
class Pins:
    """Ports of a design: its clock, where bytes come, and where they leave."""

    clock: str
    rx: str
    tx: str


def exchange(
    sources: Mapping[str, str],
    top: str,
    pins: Pins,
    inputs: Sequence[bytes],
    *,
    answer_bytes: int,
    clock_hz: int,
    divisor: int,
    limit_cycles: int,
    abandoned: bytes = b"",
    pause_cycles: int = 0,
) -> list[bytes]:
    """Answers of module ``top``, which begins configured, to ``inputs`` one after the other.

    Parameters
    ----------
    divisor : clock cycles of a bit
    limit_cycles : from the end of an input to the end of its answer
    abandoned, pause_cycles : bytes that come before the first input, and the pause behind them

    Raises
    ------
    SimulationFailed
        An answer did not come, or was no row of bytes.
    """
    # Whole nanoseconds: the bench's time has no fractions.
    period = round(1e9 / clock_hz)
    model = runner.build(sources, top)
    with scratch_folder("qnn-serial-") as folder:
        work = Path(folder)
        job = {
            "pins": asdict(pins),
            "period_ns": period,
            "bit_ns": period * divisor,
            "abandoned": abandoned.hex(),
            "pause_ns": period * pause_cycles,
            "inputs": [data.hex() for data in inputs],
            "answer_bytes": answer_bytes,
            "limit_ns": period * limit_cycles,
            "result": str(work / "result.json"),
        }
        (work / "job.json").write_text(json.dumps(job))
        runner.run(model, BENCH, environment={"QNN_JOB": str(work / "job.json")}, work=work)
        return [bytes.fromhex(text) for text in json.loads((work / "result.json").read_text())]
