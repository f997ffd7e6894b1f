import xml.etree.ElementTree as ElementTree

import pytest

from qnn.errors import DeviceError
from sim.junit import junit, write_junit
from sim.verification import Difference, LayerReport, Report

GOOD = LayerReport("conv1", "conv", 0, 12, 0, None, None, None)
FIRST = Difference("conv2", 0, 1, 2, 3, expected=5, got=6, cycle=78)
BAD = LayerReport("conv2", "conv", 0, 4, 2, FIRST, "3 writes outside its tensor", None)


def test_a_case_for_the_run_and_for_each_layer():
    assert (
        junit(Report("rtl", (GOOD, BAD), None))
        == """\
<?xml version='1.0' encoding='utf-8'?>
<testsuites>
  <testsuite name="qnn verify" tests="3" failures="1" errors="0">
    <testcase classname="qnn verify" name="run" />
    <testcase classname="qnn verify.rtl" name="conv1 (conv), image 0" />
    <testcase classname="qnn verify.rtl" name="conv2 (conv), image 0">
      <failure message="2/4 mismatches; 3 writes outside its tensor; layer 'conv2', image 0, \
channel 1, row 2, column 3: expected 5, got 6 in cycle 78" />
    </testcase>
  </testsuite>
</testsuites>
"""
    )


@pytest.mark.parametrize(
    ("report", "message"),
    [
        (Report("rtl", (GOOD,), "run 0: time-out"), "run 0: time-out"),
        (Report("rtl", (), None), "no value was compared"),
    ],
)
def test_a_run_that_failed_is_a_failure(report, message):
    root = ElementTree.fromstring(junit(report).partition("\n")[2])
    assert root.find("testsuite/testcase[@name='run']/failure").get("message") == message
    assert not report.passed


def test_a_place_that_cannot_be_written_is_one_line(tmp_path):
    path = tmp_path / "missing" / "report.xml"
    with pytest.raises(
        DeviceError,
        match=rf"^{path}: a JUnit report needs a writable place, but got 'No such file or "
        rf"directory'; choose another with --junit$",
    ):
        write_junit(Report("rtl", (GOOD,), None), path)
