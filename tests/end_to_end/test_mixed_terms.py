"""ResNet-20 whole, with other terms from layer to layer and from channel to channel."""

from dataclasses import replace

import numpy as np
import pytest
import torch

import qnn
from hw.spec.isa.header import Op
from qnn.backend.array.configure import config_for
from qnn.ir.codes import Codes
from qnn.nn.zoo import ZOO
from sim.verify import verify
from tests.nearest import quantize

MOST = 4


@pytest.fixture(scope="module")
def design():
    """Layers of one to four terms in turn, whose channels have as many or fewer."""
    torch.manual_seed(0)
    model = ZOO["resnet20"].build().eval()
    graph = qnn.export(quantize(model, torch.randn(8, 3, 32, 32), weight_bits=3, terms=MOST))
    rng, changed = np.random.default_rng(0), {}
    for number, conv in enumerate(graph.convs):
        stop = np.minimum(number % MOST + 1, np.sort(rng.integers(1, MOST + 1, conv.shape[0])))
        unused = np.arange(len(conv.codes))[:, None] >= stop
        changed[conv.name] = replace(
            conv, codes=np.where(unused[..., None, None, None], 0, conv.codes)
        )
    nodes = tuple(changed.get(node.name, node) for node in graph.nodes)
    mixed = replace(graph, nodes=nodes)
    return qnn.compile(mixed, config_for("small", mixed), batch=1)


def images(design):
    source = design.graph.inputs[0]
    rng = np.random.default_rng(1)
    return Codes(rng.integers(source.type.low, source.type.high + 1, (1, *source.shape)))


def test_instructions_take_one_to_four_terms_and_give_the_reference(design):
    taken = {i.terms for i in design.artifact.program if i.op is Op.CONV}
    assert taken == set(range(1, MOST + 1))
    assert verify(design, images(design), "functional").passed


@pytest.mark.rtl
@pytest.mark.slow
def test_every_tensor_on_rtl_is_the_references(design):
    report = verify(design, images(design), "rtl")
    assert report.passed, str(report)
