"""What bounds the clock of the whole accelerator: LUTs between registers, and loads of a net."""

import pytest

from hw.spec.config import CONFIGS
from hw.spec.verilog_files import TOP
from hw.verilog import verilog
from qnn.eda.loads import most_loads
from qnn.eda.longest_path import longest_path
from qnn.eda.synthesis import synthesis

pytestmark = pytest.mark.rtl

# What the small accelerator has: a change that needs more makes the clock of all slower.
MOST_LUTS = 6
MOST_LOADS = 700


@pytest.fixture(scope="module")
def netlist():
    # As `accelerator_resources` synthesises it, so that both share what is cached.
    return synthesis(verilog(CONFIGS["test"], mapped=True), TOP, flatten=True)[1]


def parts(netlist):
    """Modules with cells of the device."""
    for name, module in netlist["modules"].items():
        if any(not cell["type"].startswith("$") for cell in module["cells"].values()):
            yield name


def test_no_path_has_more_luts_than_the_limit(netlist):
    longest = {name: longest_path(netlist, name).luts for name in parts(netlist)}
    assert longest[TOP] == max(longest.values())
    assert longest[TOP] == MOST_LUTS


def test_no_net_has_more_loads_than_the_limit(netlist):
    loads = {name: most_loads(netlist, name) for name in parts(netlist)}
    net, count = max(loads.values(), key=lambda item: item[1])
    assert 0.8 * MOST_LOADS < count <= MOST_LOADS, f"{net} has {count} loads"
