import re

import numpy as np
import pytest

from qnn.ir.reference import reference
from sim import rtl
from sim.runner import SimulationFailed
from tests.sim.test_faults import sound

pytestmark = pytest.mark.rtl


WAITS = range(20, 800, 31)  # cycles from start to reset; the job's run is longer


def test_a_reset_in_any_part_of_a_run_leaves_nothing_for_the_next():
    design, x = sound()
    undisturbed = rtl.execute(design.artifact, x)
    after_resets = rtl.execute(design.artifact, x, resets=WAITS)

    (expected,) = reference(design.graph, x, outputs_only=True).values()
    np.testing.assert_array_equal(undisturbed.outputs[0], expected)
    np.testing.assert_array_equal(after_resets.outputs[0], expected)
    assert [run.failure for run in after_resets.runs] == [None]
    assert after_resets.broken is None
    assert len(after_resets.runs[0].trace.write_tag) == len(undisturbed.runs[0].trace.write_tag)
    assert after_resets.runs[0].cycles == undisturbed.runs[0].cycles > 800


def test_an_accelerator_that_never_stops_after_a_reset_does_not_hang_the_simulation():
    design, x = sound()
    verilog = dict(rtl.generated(design.artifact.config))
    name, status = "qnn_accelerator.v", "irq, failed, done, busy }"
    assert status in verilog[name]
    verilog[name] = verilog[name].replace(status, "irq, failed, done, | program_bytes }")
    with pytest.raises(SimulationFailed, match="status 0x1 after a reset"):
        rtl.execute(design.artifact, x, verilog=verilog, resets=(20,), limit=500)


def test_a_register_that_a_reset_does_not_clear_is_found():
    design, x = sound()
    verilog = dict(rtl.generated(design.artifact.config))
    name = "qnn_accelerator.v"
    before, start, bank = verilog[name].partition("module \\qnn_accelerator.shell.bank ")
    cleared = re.compile(r"(if \(rst\) begin\s+\S+\s+= )32'd0;")
    assert cleared.search(bank)
    verilog[name] = before + start + cleared.sub(r"\g<1>32'd64;", bank, count=1)
    assert rtl.execute(design.artifact, x, verilog=verilog).runs[0].failure is None
    with pytest.raises(SimulationFailed, match=r"reads 0x[04]+ after a reset of the design"):
        rtl.execute(design.artifact, x, verilog=verilog, resets=(20,), limit=20_000)
