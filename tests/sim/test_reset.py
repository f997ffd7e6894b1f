import numpy as np
import pytest

from qnn.ir.reference import reference
from sim import rtl
from tests.sim.test_faults import sound

pytestmark = pytest.mark.rtl


def test_a_reset_in_any_part_of_a_run_leaves_nothing_for_the_next(monkeypatch):
    design, x = sound()
    undisturbed = rtl.execute(design.artifact, x)
    monkeypatch.setattr(rtl, "BENCH", "tests.hw.cocotb.reset")
    after_resets = rtl.execute(design.artifact, x)

    (expected,) = reference(design.graph, x, outputs_only=True).values()
    np.testing.assert_array_equal(undisturbed.outputs[0], expected)
    np.testing.assert_array_equal(after_resets.outputs[0], expected)
    assert [run.failure for run in after_resets.runs] == [None]
    assert after_resets.runs[0].cycles == undisturbed.runs[0].cycles > 800
