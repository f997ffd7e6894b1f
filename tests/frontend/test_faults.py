"""All that a model lacks is told at once, each with its place in the model and what to do."""

import re

import pytest
import torch

from qnn.frontend.aten.advice import CURES, KINDS
from qnn.frontend.aten.registry import OPERATORS
from qnn.frontend.capture import capture
from qnn.frontend.expansions import EXPANSIONS
from qnn.frontend.faults import Fault, FaultyModel, Site
from tests.frontend.faulty import NETWORKS


def faults_of(name):
    build, shape = NETWORKS[name]
    with pytest.raises(FaultyModel) as caught:
        capture(build().eval(), torch.zeros(1, *shape))
    return caught.value


@pytest.mark.parametrize("name", NETWORKS)
def test_every_fault_of_a_network_is_told_with_its_line(name, golden):
    golden(f"faults_{name}.txt", f"{faults_of(name)}\n")


@pytest.mark.parametrize("name", NETWORKS)
def test_a_fault_names_a_layer_or_a_line_and_a_cure(name):
    error = faults_of(name)
    assert error.faults
    for fault in error.faults:
        assert fault.site.path or fault.site.line or not fault.site.operator
        assert fault.cure
    # Neither names that torch.export made up, nor its number for the end of an axis.
    assert not re.search(r"\b[a-z]+_\d+'|9223372036854775807", str(error))


def test_faults_of_one_kind_are_one_line():
    sites = [Site(f"block{n}.act", "aten.silu", "/net.py", 7) for n in range(5)]
    faults = [Fault(site, "is not supported", "take ReLU") for site in sites]
    assert str(FaultyModel(faults)) == (
        "layer 'block0.act' (aten.silu, net.py:7), layer 'block1.act' (aten.silu, net.py:7), layer "
        "'block2.act' (aten.silu, net.py:7) and 2 more are not supported; take ReLU"
    )
    other = Fault(Site("", "aten.add", "/net.py", 9), "needs alpha=1, not alpha=2", "scale before")
    assert str(FaultyModel([*faults[:1], other])) == (
        "model needs 2 changes:\n"
        "(1) layer 'block0.act' (aten.silu, net.py:7) is not supported; take ReLU\n"
        "(2) model (aten.add, net.py:9) needs alpha=1, not alpha=2; scale before"
    )


def test_what_is_supported_needs_no_cure():
    supported = {*OPERATORS, *EXPANSIONS}
    assert not {name.removeprefix("aten.") for name in supported} & CURES.keys()
    # Each operator stands in one kind.
    assert sum(map(len, KINDS.values())) == len(CURES)
