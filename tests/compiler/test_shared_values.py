"""What all channels share stands in every lane, and each block of channels reads the one word."""

from dataclasses import replace

import numpy as np
import pytest

from hw.spec.config import named_config
from hw.spec.isa.tiles import Tiles
from qnn.compiler import compile_graph, conditions
from qnn.compiler.compilation import Compilation
from qnn.compiler.shared_values import copy_shared, shared_values
from qnn.ir.reference import reference
from qnn.ir.text import parse, text
from sim import functional
from tests.graphs import images

TEST = named_config("test", weight_bits=4)
SMALL = replace(TEST, feature_words=128, weight_words=128, parameter_words=16)
SHARED = parse("""
x: s8e-4 9x7x5 = input()
m: u6e-4 1x7x5 = input()
c: s8e-4 1x7x5 = conv(x) 1x1 w4 bias=3 >>4 clamp -128..127 codes=3
d: u8e-4 1x7x5 = conv(x) 3x3 w4 pad=1,1,1,1 bias=0 >>5 clamp 0..255 codes=1
p: s8e-4 1x7x5 = maxpool(c) 3x3 pad=1,1,1,1
q: s8e-4 1x7x5 = multiply(c, d) bias=0 >>7 clamp -128..127
l: s8e-4 1x7x3 = conv(c) 1x1 w4 stride=1x2 bias=1 >>2 clamp -128..127 codes=2
r: s8e-4 1x7x2 = conv(p) 1x1 w4 stride=1x2 pad=0,0,-1,0 bias=2 >>2 clamp -128..127 codes=3
i: s8e-4 1x7x5 = interleave(l, r) step=1x2 at=0x0,0x1
s: s8e-4 1x1x1 = conv(x) 7x5 w4 bias=0 >>8 clamp -128..127 codes=2
e: s8e-4 9x7x5 = multiply(x, m) bias=3 >>4 clamp -128..127
f: s8e-4 9x7x5 = conv(e) 1x1 w4 bias=0 + p<<3 >>4 clamp -128..127 codes=1
g: s8e-4 9x7x5 = multiply(f, q) bias=0 >>6 clamp -128..127
h: s8e-4 9x7x5 = depthwise(g) 1x1 w4 bias=0 + i<<2 >>3 clamp -128..127 codes=4
j: s8e-4 9x7x5 = multiply(h, s) bias=0 >>6 clamp -128..127
k: s8e-4 9x7x5 = conv(j) 1x1 w4 bias=0 + m<<2 >>3 clamp -128..127 codes=1
t: s8e-4 10x7x5 = concat(k, c)
u: s8e-4 10x7x5 = conv(t) 1x1 w4 bias=0 + c<<2 >>4 clamp -128..127 codes=1
return u 350, q 35, i 35
""")


@pytest.mark.parametrize("config", [TEST, SMALL], ids=["on chip", "in strips"])
@pytest.mark.parametrize("lanes", [4, 8])
def test_channels_that_share_a_value_per_pixel_are_the_references(config, lanes):
    config = replace(config, lanes=lanes)
    image = compile_graph(SHARED, config, batch=2, checked=True)
    assert bool(image.scratch_bytes) == (config.feature_words == SMALL.feature_words)
    x = images(SHARED, 2)
    got, want = functional.run(image, x), reference(SHARED, x)
    for name in got.tensors.keys() & want.keys():
        np.testing.assert_array_equal(got.tensors[name], want[name], err_msg=name)
    assert {"e", "f", "g", "h", "j", "k", "u"} <= got.tensors.keys()


def test_all_groups_of_channels_read_one_block_and_its_first_part():
    tiles = [each for each in compile_graph(SHARED, TEST).program if isinstance(each, Tiles)]
    adding = [each for each in tiles if each.skip]
    by_layer = {}
    for each in adding:
        by_layer.setdefault(each.tag, set()).add((each.skip_address, each.skip_part))
    # Three groups of four rows for nine or ten channels, one of a product of one channel.
    assert len(adding) > 2 * len(by_layer)
    assert all(len(places) == 1 for places in by_layer.values())


def test_what_needs_an_input_in_every_lane_reads_a_copy_of_it():
    before = parse("""
x: s8e-4 3x2x2 = input()
y: s8e-4 1x2x2 = input()
z: s8e-4 1x2x2 = maxpool(y) 1x1
a: s8e-4 3x2x2 = multiply(x, z) bias=0 >>7 clamp -128..127
b: s8e-4 3x2x2 = conv(y) 1x1 w4 bias=0 + y<<1 >>4 clamp -128..127 codes=1
return a 12, b 12
""")
    assert shared_values(before) == {"y", "z"}
    after = copy_shared(before)
    assert (
        text(after)
        == """\
x: s8e-4 3x2x2 = input()
y: s8e-4 1x2x2 = input()
y_copy: s8e-4 1x2x2 = conv(y) 1x1 w4 bias=0 >>0 clamp -128..127
z: s8e-4 1x2x2 = maxpool(y_copy) 1x1
a: s8e-4 3x2x2 = multiply(x, z) bias=0 >>7 clamp -128..127
b: s8e-4 3x2x2 = conv(y_copy) 1x1 w4 bias=0 + y_copy<<1 >>4 clamp -128..127
return a 12, b 12"""
    )
    state = Compilation(graph=after, config=TEST, batch=1, bytes_per_cycle=8)
    conditions.shared_values_are_computed(state)
    with pytest.raises(AssertionError, match="an input's one channel is read in every lane"):
        conditions.shared_values_are_computed(replace(state, graph=before))
