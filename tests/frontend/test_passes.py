"""Each pass alone: a graph as text before and after, and equal values."""

from dataclasses import replace

import pytest
import torch
from torch import nn

from qnn.frontend import fuse as fusion
from qnn.frontend.capture import capture
from qnn.frontend.check import check
from qnn.frontend.fuse import PASSES, FusionPass, fuse
from qnn.frontend.graph import FloatGraph
from qnn.frontend.ops.add import Add
from qnn.frontend.ops.conv import identity
from qnn.frontend.passes.split_pools import split_pools
from qnn.frontend.rewrite import Rewrite
from qnn.frontend.run import run
from qnn.ir.graph import Output
from tests.frontend.float_text import parse

STEPS = {step.run.__name__: step.run for step in PASSES}


def after(name: str, before: str) -> str:
    """The text that the pass ``name`` makes of a graph's, after a test that values stay."""
    graph = parse(before)
    assert str(graph) == before.strip()
    check(graph)
    changed = STEPS[name](graph)
    check(changed)
    generator = torch.Generator().manual_seed(0)
    images = [torch.randn(2, *source.shape, generator=generator) for source in graph.inputs]
    old, new = run(graph, *images), run(changed, *images)
    for was, now in zip(graph.outputs, changed.outputs, strict=True):
        got = new[now.name].reshape(old[was.name].shape)
        torch.testing.assert_close(got, old[was.name], atol=1e-4, rtol=1e-4)
    return str(changed)


CASES = {
    "lower_transposed": (
        """\
x = input() 2x4x4
t = transposed(x) 3x8x4 kernel=(3,1) stride=(2,1) padding=(1,0) more=(1,0) dilation=(1,1) groups=1
return t""",
        """\
x = input() 2x4x4
t.0_0 = conv(x) 3x4x4 1x1
t.1_0 = conv(x) 3x4x4 2x1 padding=(0,1,0,0)
t = interleave(t.0_0, t.1_0) 3x8x4 step=(2,1) offsets=((0,0),(1,0))
return t""",
    ),
    "spread_over_interleaves": (
        """\
x = input() 2x4x4
y = resample(x) 2x8x4
c = conv(x) 2x4x4 1x1
i = interleave(c, x) 2x4x8 step=(1,2) offsets=((0,0),(0,1))
b = batchnorm(i) 2x4x8
r = clamp(b) 2x4x8 low=0.0
n = batchnorm(y) 2x8x4
return r, n""",
        """\
x = input() 2x4x4
n = batchnorm(x) 2x4x4
y = resample(n) 2x8x4
c = conv(x) 2x4x4 1x1
b.0 = batchnorm(c) 2x4x4
b.1 = batchnorm(x) 2x4x4
r.0 = clamp(b.0) 2x4x4 low=0.0
r.1 = clamp(b.1) 2x4x4 low=0.0
i = interleave(r.0, r.1) 2x4x8 step=(1,2) offsets=((0,0),(0,1))
return i, y""",
    ),
    "nest_concats": (
        """\
x = input() 2x4x4
a = conv(x) 3x4x4 1x1
b = conv(x) 2x4x4 1x1
j = concat(x, a) 5x4x4
k = concat(x, a, b) 7x4x4
l = concat(b, x, a, b, x) 11x4x4
m = concat(x, a, b, x) 9x4x4
return j, k, l, m""",
        """\
x = input() 2x4x4
a = conv(x) 3x4x4 1x1
b = conv(x) 2x4x4 1x1
j = concat(x, a) 5x4x4
k = concat(j, b) 7x4x4
l = concat(b, k, x) 11x4x4
m = concat(k, x) 9x4x4
return j, k, l, m""",
    ),
    "spread_over_concats": (
        """\
x = input() 2x4x4
a = conv(x) 2x4x4 1x1
f = clamp(a) 2x4x4 low=0.0
b = conv(f) 3x4x4 1x1
j = concat(a, b) 5x4x4
g = clamp(j) 5x4x4 low=0.0
c = conv(g) 3x4x4 1x1
m = maxpool(c) 3x4x4 1x1
k = concat(j, m) 8x4x4
h = clamp(k) 8x4x4 low=0.0
d = conv(h) 16x4x4 1x1
n = batchnorm(h) 8x4x4
e = conv(n) 16x4x4 1x1
o = concat(d, e) 32x4x4
p = batchnorm(o) 32x4x4
q = batchnorm(o) 32x4x4
t = maxpool(d) 16x4x4 1x1
u = conv(x) 16x4x4 1x1
s = concat(t, u) 32x4x4
r = batchnorm(s) 32x4x4
v = conv(x) 3x4x4 1x1
w = concat(x, v) 5x4x4
y = batchnorm(w) 5x4x4
z = function(y) 5x4x4 function=sigmoid(x)
i = conv(x) 3x4x4 1x1
l = conv(x) 2x4x4 1x1
aa = concat(i, l, i) 8x4x4
ab = clamp(aa) 8x4x4 high=1.0
ac = conv(x) 3x4x4 1x1
ad = add(l, x) 2x4x4
ae = concat(ac, ad) 5x4x4
af = function(ae) 5x4x4 function=sigmoid(x)
return p, q, r, z, ab, af""",
        """\
x = input() 2x4x4
a = conv(x) 2x4x4 1x1
f = clamp(a) 2x4x4 low=0.0
b = conv(f) 3x4x4 1x1
g.1 = clamp(b) 3x4x4 low=0.0
j = concat(f, g.1) 5x4x4
c = conv(j) 3x4x4 1x1
m = maxpool(c) 3x4x4 1x1
h.1 = clamp(m) 3x4x4 low=0.0
k = concat(j, h.1) 8x4x4
d = conv(k) 16x4x4 1x1
n = batchnorm(k) 8x4x4
e = conv(n) 16x4x4 1x1
o = concat(d, e) 32x4x4
p = batchnorm(o) 32x4x4
q = batchnorm(o) 32x4x4
t = maxpool(d) 16x4x4 1x1
u = conv(x) 16x4x4 1x1
r.0 = batchnorm(t) 16x4x4
r.1 = batchnorm(u) 16x4x4
s = concat(r.0, r.1) 32x4x4
v = conv(x) 3x4x4 1x1
w = concat(x, v) 5x4x4
y = batchnorm(w) 5x4x4
z = function(y) 5x4x4 function=sigmoid(x)
i = conv(x) 3x4x4 1x1
l = conv(x) 2x4x4 1x1
aa = concat(i, l, i) 8x4x4
ab = clamp(aa) 8x4x4 high=1.0
ac = conv(x) 3x4x4 1x1
ad = add(l, x) 2x4x4
af.0 = function(ac) 3x4x4 function=sigmoid(x)
af.1 = function(ad) 2x4x4 function=sigmoid(x)
ae = concat(af.0, af.1) 5x4x4
return p, q, s, z, ab, ae""",
    ),
    "hoist_pools": (
        """\
x = input() 4x8x8
c = conv(x) 6x8x8 1x1 bias
p = averagepool(c) 6x4x4 2x2 stride=(2,2) divisor=4
d = conv(p) 64x4x4 1x1 bias
q = averagepool(d) 64x4x4 3x3 padding=(1,1,1,1) divisor=9
e = conv(x) 4x8x8 1x1
s = averagepool(e) 4x4x4 3x3 stride=(2,2) padding=(1,1,1,1) divisor=9
f = conv(x) 4x8x8 1x1 low=0.0
t = averagepool(f) 4x4x4 2x2 stride=(2,2) divisor=4
return p, q, s, t""",
        """\
x = input() 4x8x8
p = averagepool(x) 4x4x4 2x2 stride=(2,2) divisor=4
c = conv(p) 6x4x4 1x1 bias
d = conv(c) 64x4x4 1x1 bias
q = averagepool(d) 64x4x4 3x3 padding=(1,1,1,1) divisor=9
s = averagepool(x) 4x4x4 3x3 stride=(2,2) padding=(1,1,1,1) divisor=9
e = conv(s) 4x4x4 1x1
f = conv(x) 4x8x8 1x1 low=0.0
t = averagepool(f) 4x4x4 2x2 stride=(2,2) divisor=4
return c, q, e, t""",
    ),
    "lower_resamples": (
        """\
x = input() 2x4x4
y = resample(x) 2x4x8
z = resample(x) 2x2x4
return y, z""",
        """\
x = input() 2x4x4
y = interleave(x, x) 2x4x8 step=(1,2) offsets=((0,0),(0,1))
z = conv(x) 2x2x4 1x1 stride=(2,1) padding=(0,-1,0,0) groups=2 fixed
return y, z""",
    ),
    "lower_shuffles": (
        """\
x = input() 4x2x2
c = conv(x) 8x2x2 1x1 low=0.0 bias batchnorm
s = pixelshuffle(c) 2x4x4 factor=2
t = pixelshuffle(x) 1x4x4 factor=2
return s, t""",
        """\
x = input() 4x2x2
s.0_0 = conv(x) 2x2x2 1x1 low=0.0 bias batchnorm
s.0_1 = conv(x) 2x2x2 1x1 low=0.0 bias batchnorm
s.1_0 = conv(x) 2x2x2 1x1 low=0.0 bias batchnorm
s.1_1 = conv(x) 2x2x2 1x1 low=0.0 bias batchnorm
s = interleave(s.0_0, s.0_1, s.1_0, s.1_1) 2x4x4 step=(2,2) offsets=((0,0),(0,1),(1,0),(1,1))
t.0_0 = conv(x) 1x2x2 1x1 fixed
t.0_1 = conv(x) 1x2x2 1x1 fixed
t.1_0 = conv(x) 1x2x2 1x1 fixed
t.1_1 = conv(x) 1x2x2 1x1 fixed
t = interleave(t.0_0, t.0_1, t.1_0, t.1_1) 1x4x4 step=(2,2) offsets=((0,0),(0,1),(1,0),(1,1))
return s, t""",
    ),
    "lower_extremes": (
        """\
x = input() 2x4x4
y = input() 2x4x4
m = extreme(x, y) 2x4x4 least=False
n = extreme(x, m) 2x4x4 least=True
return n""",
        """\
x = input() 2x4x4
y = input() 2x4x4
m.difference = add(y, x) 2x4x4 alpha=-1.0
m.excess = clamp(m.difference) 2x4x4 low=0.0
m = add(x, m.excess) 2x4x4
n.difference = add(x, m) 2x4x4 alpha=-1.0
n.excess = clamp(n.difference) 2x4x4 low=0.0
n = add(x, n.excess) 2x4x4 alpha=-1.0
return n""",
    ),
    "spread_operands": (
        """\
x = input() 2x4x3
g = input() 2x1x1
m = input() 1x4x3
h = input() 2x4x1
n = input() 1x1x1
l = input() 1x4x1
a = multiply(g, x) 2x4x3
b = add(a, g) 2x4x3
c = multiply(b, m) 2x4x3
d = multiply(g, m) 2x4x3
e = add(c, h) 2x4x3
f = multiply(d, e) 2x4x3 low=0.0
i = add(n, f) 2x4x3
j = multiply(i, l) 2x4x3
return j""",
        """\
x = input() 2x4x3
g = input() 2x1x1
m = input() 1x4x3
h = input() 2x4x1
n = input() 1x1x1
l = input() 1x4x1
a = multiply(x, g) 2x4x3
b = add(a, g) 2x4x3
c = multiply(b, m) 2x4x3
d.operand0 = conv(m) 2x4x3 1x1 fixed
d = multiply(d.operand0, g) 2x4x3
e.operand0 = conv(h) 2x4x3 1x3 padding=(0,0,2,2) groups=2 fixed
e = add(c, e.operand0) 2x4x3
f = multiply(d, e) 2x4x3 low=0.0
i = add(f, n) 2x4x3
j.operand0 = conv(l) 1x4x3 1x3 padding=(0,0,2,2) fixed
j = multiply(i, j.operand0) 2x4x3
return j""",
    ),
    "fold_batchnorm": (
        """\
x = input() 2x4x4
c = conv(x) 3x4x4 1x1 bias
b = batchnorm(c) 3x4x4
d = batchnorm(b) 3x4x4
return d""",
        """\
x = input() 2x4x4
c = conv(x) 3x4x4 1x1 bias batchnorm
return c""",
    ),
    "compose_functions": (
        """\
x = input() 2x4x4
a = affine(x) 2x4x4 factor=0.5
s = function(a) 2x4x4 function=sigmoid(x)
r = clamp(s) 2x4x4 low=0.25
c = conv(r) 2x4x4 1x1
p = affine(c) 2x4x4 factor=2_numbers
t = function(p) 2x4x4 function=tanh(x)
return t, c""",
        """\
x = input() 2x4x4
s = function(x) 2x4x4 function=clamp(sigmoid(mul(x,0.5)),0.25)
c = conv(s) 2x4x4 1x1
p = affine(c) 2x4x4 factor=2_numbers
t = function(p) 2x4x4 function=tanh(x)
return t, c""",
    ),
    "lower_affines": (
        """\
x = input() 2x4x4
a = affine(x) 2x4x4 factor=0.5
b = affine(x) 2x4x4 factor=2_numbers shift=1
c = conv(a) 4x4x4 3x3 padding=(1,1,1,1) groups=2
d = conv(b) 4x4x4 1x1 bias
e = affine(d) 4x4x4 shift=4_numbers
r = clamp(c) 4x4x4 low=0.0 high=6.0
f = affine(r) 4x4x4 factor=-0.5 shift=1
m = maxpool(f) 4x2x2 2x2 stride=(2,2)
g = affine(m) 4x2x2 factor=3
return e, g""",
        """\
x = input() 2x4x4
c = conv(x) 4x4x4 3x3 scale=0.5 padding=(1,1,1,1) groups=2
d = conv(x) 4x4x4 1x1 bias
e = batchnorm(d) 4x4x4
r = batchnorm(c) 4x4x4
f = clamp(r) 4x4x4 low=-2.0 high=1.0
m = maxpool(f) 4x2x2 2x2 stride=(2,2)
g = batchnorm(m) 4x2x2
return e, g""",
    ),
    "hoist_activations": (
        """\
x = input() 2x4x4
c = conv(x) 3x4x4 1x1
m = maxpool(c) 3x2x2 2x2 stride=(2,2)
f = flatten(m) 12x1x1
r = clamp(f) 12x1x1 low=0.0
s = clamp(r) 12x1x1 high=0.5
n = maxpool(c) 3x2x2 2x2 stride=(2,2)
g = function(n) 3x2x2 function=tanh(x)
o = maxpool(c) 3x2x2 2x2 stride=(2,2)
h = function(o) 3x2x2 function=silu(x)
return s, g, h""",
        """\
x = input() 2x4x4
c = conv(x) 3x4x4 1x1
r = clamp(c) 3x4x4 low=0.0
s = clamp(r) 3x4x4 high=0.5
m = maxpool(s) 3x2x2 2x2 stride=(2,2)
f = flatten(m) 12x1x1
g = function(c) 3x4x4 function=tanh(x)
n = maxpool(g) 3x2x2 2x2 stride=(2,2)
o = maxpool(c) 3x2x2 2x2 stride=(2,2)
h = function(o) 3x2x2 function=silu(x)
return f, n, h""",
    ),
    "move_divisors": (
        """\
x = input() 2x6x6
a = averagepool(x) 2x2x2 3x3 stride=(3,3) divisor=9
r = clamp(a) 2x2x2 low=0.0
c = conv(r) 3x2x2 1x1
p = averagepool(c) 3x1x1 2x2 stride=(2,2) divisor=4
d = conv(p) 3x1x1 1x1
return d""",
        """\
x = input() 2x6x6
a = averagepool(x) 2x2x2 3x3 stride=(3,3) divisor=1
r = clamp(a) 2x2x2 low=0.0
c = conv(r) 3x2x2 1x1 scale=0.1111111111111111
p = averagepool(c) 3x1x1 2x2 stride=(2,2) divisor=4
d = conv(p) 3x1x1 1x1
return d""",
    ),
    "split_pools": (
        """\
x = input() 32x112x112
a = averagepool(x) 32x1x1 112x112 stride=(112,112) divisor=12544
b = averagepool(x) 32x1x112 112x1 stride=(112,1) divisor=112
c = maxpool(x) 32x112x112 5x5 padding=(2,2,2,2)
d = maxpool(x) 32x1x1 112x112 stride=(112,112)
return a, b, c, d""",
        """\
x = input() 32x112x112
a_row = averagepool(x) 32x112x1 1x112 stride=(1,112) divisor=1
a = averagepool(a_row) 32x1x1 112x1 stride=(112,1) divisor=12544
b_row = averagepool(x) 32x4x112 28x1 stride=(28,1) divisor=1
b = averagepool(b_row) 32x1x112 4x1 divisor=112
c_row = maxpool(x) 32x112x112 1x5 padding=(0,0,2,2)
c = maxpool(c_row) 32x112x112 5x1 padding=(2,2,0,0)
d_row = maxpool(x) 32x112x1 1x112 stride=(1,112)
d = maxpool(d_row) 32x1x1 112x1 stride=(112,1)
return a, b, c, d""",
    ),
    "lower_pools": (
        """\
x = input() 2x4x4
a = averagepool(x) 2x5x3 2x2 stride=(1,2) padding=(1,1,1,1) divisor=4
return a""",
        """\
x = input() 2x4x4
a = conv(x) 2x5x3 2x2 stride=(1,2) padding=(1,1,1,1) groups=2 fixed
return a""",
    ),
    "fold_flatten": (
        """\
x = input() 2x3x2
f = flatten(x) 12x1x1
l = conv(f) 4x1x1 1x1 bias
r = clamp(f) 12x1x1 low=0.0
return l, r""",
        """\
x = input() 2x3x2
f = conv(x) 12x1x1 3x2 groups=2 fixed
l = conv(x) 4x1x1 3x2 bias
r = clamp(f) 12x1x1 low=0.0
return l, r""",
    ),
    "lower_shortcuts": (
        """\
x = input() 2x4x4
s = slice(x) 2x2x2 stride=(2,2)
p = pad(s) 5x2x2 padding=(0,0,0,0) channels=(1,2)
return p""",
        """\
x = input() 2x4x4
p = conv(x) 5x2x2 1x1 stride=(2,2) fixed
return p""",
    ),
    "fold_pads": (
        """\
x = input() 2x4x4
p = pad(x) 2x6x5 padding=(1,1,0,1)
c = conv(p) 3x6x5 3x3 padding=(1,1,1,1)
m = maxpool(p) 2x5x4 2x2
return c, m""",
        """\
x = input() 2x4x4
p = conv(x) 2x6x5 1x1 padding=(1,1,0,1) groups=2 fixed
c = conv(x) 3x6x5 3x3 padding=(2,2,1,2)
m = maxpool(p) 2x5x4 2x2
return c, m""",
    ),
    "lower_slices": (
        """\
x = input() 2x4x4
s = slice(x) 2x2x4 stride=(2,1)
t = slice(x) 2x2x2 stride=(2,1) start=(1,1) size=(2,2)
return s, t""",
        """\
x = input() 2x4x4
s = conv(x) 2x2x4 1x1 stride=(2,1) groups=2 fixed
t = conv(x) 2x2x2 1x1 stride=(2,1) padding=(-1,0,-1,-1) groups=2 fixed
return s, t""",
    ),
    "fuse_activations": (
        """\
x = input() 2x4x4
c = conv(x) 3x4x4 1x1
r = clamp(c) 3x4x4 low=0.0
s = clamp(r) 3x4x4 low=-1.0 high=0.5
t = clamp(x) 2x4x4 low=0.0
d = conv(x) 3x4x4 1x1
u = clamp(d) 3x4x4 low=-1.0
v = function(u) 3x4x4 function=tanh(x)
return s, t, v""",
        """\
x = input() 2x4x4
c = conv(x) 3x4x4 1x1 low=0.0 high=0.5
t = clamp(x) 2x4x4 low=0.0
d = conv(x) 3x4x4 1x1 function=tanh(clamp(x,-1))
return c, t, d""",
    ),
    "fuse_adds": (
        """\
x = input() 2x4x4
c = conv(x) 2x4x4 1x1
d = conv(x) 2x4x4 1x1 groups=2 fixed
s = add(c, d) 2x4x4
t = add(s, s) 2x4x4
return t""",
        """\
x = input() 2x4x4
d = conv(x) 2x4x4 1x1 groups=2 fixed
c = conv(x, d) 2x4x4 1x1
t = conv(c, c) 2x4x4 1x1 groups=2 fixed
return t""",
    ),
    "lower_activations": (
        """\
x = input() 2x4x4
r = clamp(x) 2x4x4 low=0.0 high=6.0
f = function(x) 2x4x4 function=sigmoid(x)
return r, f""",
        """\
x = input() 2x4x4
r = conv(x) 2x4x4 1x1 groups=2 low=0.0 high=6.0 fixed
f = conv(x) 2x4x4 1x1 groups=2 function=sigmoid(x) fixed
return r, f""",
    ),
    "fold_slices": (
        """\
x = input() 2x8x8
c = conv(x) 3x8x8 3x3 padding=(2,0,1,1) low=0.0
s = slice(c) 3x7x4 stride=(1,2) start=(1,0)
d = conv(x) 3x8x8 1x1
t = slice(d) 3x7x7 stride=(1,1) start=(1,0) size=(7,7)
e = conv(x) 3x8x8 1x1
u = slice(e) 3x7x8 stride=(1,1) start=(1,0)
f = conv(x) 3x10x8 1x1 padding=(2,0,0,0)
v = slice(f) 3x2x8 stride=(1,1) size=(2,8)
return s, t, u, e, v""",
        """\
x = input() 2x8x8
c = conv(x) 3x7x4 3x3 stride=(1,2) padding=(1,0,1,0) low=0.0
d = conv(x) 3x7x7 1x1 padding=(-1,0,0,-1)
e = conv(x) 3x8x8 1x1
u = slice(e) 3x7x8 stride=(1,1) start=(1,0)
f = conv(x) 3x10x8 1x1 padding=(2,0,0,0)
v = slice(f) 3x2x8 stride=(1,1) size=(2,8)
return c, d, u, e, v""",
    ),
    "lift_gathers": (
        """\
x = input() 2x4x4
c = conv(x) 4x4x4 1x1 batchnorm
r = clamp(c) 4x4x4 low=0.0
g = gather(r) 2x4x4 channels=(3,0)
h = gather(r) 1x4x4 channels=(1,)
d = conv(h) 3x4x4 1x1
j = concat(g, d) 5x4x4
k = gather(j) 3x4x4 channels=(4,2,3)
e = conv(x) 4x4x4 1x1
m = gather(e) 4x4x4 channels=(3,2,1,0)
return k, m""",
        """\
x = input() 2x4x4
c.1 = conv(x) 1x4x4 1x1 batchnorm
r.1 = clamp(c.1) 1x4x4 low=0.0
d = conv(r.1) 3x4x4 1x1
e = conv(x) 4x4x4 1x1
return d, e""",
    ),
    "absorb_gathers": (
        """\
x = input() 4x4x4
g = gather(x) 4x4x4 channels=(3,0,1,2)
m = maxpool(g) 4x2x2 2x2 stride=(2,2)
c = conv(m) 3x2x2 1x1
f = flatten(m) 16x1x1
d = conv(f) 3x1x1 1x1
h = gather(x) 2x4x4 channels=(3,0)
e = conv(h) 3x4x4 1x1
return c, d, e""",
        """\
x = input() 4x4x4
m = maxpool(x) 4x2x2 2x2 stride=(2,2)
c = conv(m) 3x2x2 1x1
f = flatten(m) 16x1x1
d = conv(f) 3x1x1 1x1
h = gather(x) 2x4x4 channels=(3,0)
e = conv(h) 3x4x4 1x1
return c, d, e""",
    ),
    "lower_gathers": (
        """\
x = input() 4x4x4
g = gather(x) 3x4x4 channels=(3,0,3)
return g""",
        """\
x = input() 4x4x4
g = conv(x) 3x4x4 1x1 fixed
return g""",
    ),
    "close_outputs": (
        """\
x = input() 2x4x4
y = input() 3x1x1
c = conv(x) 3x4x4 1x1
return y, c, y""",
        """\
x = input() 2x4x4
y = input() 3x1x1
y.output = conv(y) 3x1x1 1x1 groups=3 fixed
c = conv(x) 3x4x4 1x1
return y.output, c, y.output""",
    ),
    "separate_inputs": (
        """\
x = input() 2x4x4
y = input() 2x4x4
m = maxpool(x) 2x4x4 1x1
o = concat(x, m) 4x4x4
j = concat(o, y) 6x4x4
k = concat(y, j) 8x4x4
return j, k""",
        """\
x = input() 2x4x4
y = input() 2x4x4
m = maxpool(x) 2x4x4 1x1
o = concat(x, m) 4x4x4
o.requantized = conv(o) 4x4x4 1x1 groups=4 fixed requantize
y.requantized = conv(y) 2x4x4 1x1 groups=2 fixed requantize
j = concat(o.requantized, y.requantized) 6x4x4
k = concat(y.requantized, j) 8x4x4
return j, k""",
    ),
}


@pytest.mark.parametrize("name", STEPS)
def test_a_pass_gives_its_text(name):
    before, wanted = CASES[name]
    assert after(name, before) == wanted


@pytest.mark.parametrize("name", STEPS)
def test_a_pass_leaves_what_is_not_its_own(name):
    text = """\
x = input() 2x4x4
c = conv(x) 3x4x4 3x3 padding=(1,1,1,1) low=0.0
m = maxpool(c) 3x2x2 2x2 stride=(2,2)
j = concat(m, m) 6x2x2
return j"""
    assert after(name, text) == text


def chain(layers: int) -> FloatGraph:
    """Units of convolution, normalisation, ReLU, a sum, and a normalisation that stands alone."""
    lines, last = ["x = input() 2x4x4"], "x"
    for index in range(layers):
        lines += [
            f"c{index} = conv({last}) 2x4x4 1x1",
            f"b{index} = batchnorm(c{index}) 2x4x4",
            f"r{index} = clamp(b{index}) 2x4x4 low=0.0",
            f"d{index} = conv(r{index}) 2x4x4 1x1",
            f"s{index} = add(d{index}, {last}) 2x4x4",
            f"n{index} = batchnorm(s{index}) 2x4x4",
        ]
        last = f"n{index}"
    return parse("\n".join([*lines, f"return {last}"]))


def steps_of(monkeypatch, graph: FloatGraph) -> int:
    """Nodes that fusion made or moved, and reads that it counted."""
    counted = 0
    count = Rewrite._count

    def counting(self, node, change):
        nonlocal counted
        counted += 1
        count(self, node, change)

    with monkeypatch.context() as patch:
        patch.setattr(Rewrite, "_count", counting)
        fuse(graph)
    return counted


def test_fusion_is_linear_in_the_nodes(monkeypatch):
    few, many = (steps_of(monkeypatch, chain(layers)) for layers in (20, 200))
    assert 0 < many <= 10.5 * few


def wrong(message: str, run, **more):
    """Check that fusion with one more step, ``run``, fails with ``message``."""
    step = FusionPass(run, **more)
    graph = parse("x = input() 2x4x4\nc = conv(x) 3x4x4 1x1\nreturn c")
    with pytest.raises(AssertionError) as caught:
        fusion._check_step(step, (), graph, step.run(graph))
    assert str(caught.value) == message


def doubled(graph: FloatGraph) -> FloatGraph:
    total = Add(name="s", inputs=("c", "c"), shape=graph["c"].shape)
    return FloatGraph((*graph.nodes, total), (Output("s", total.shape),))


def narrowed(graph: FloatGraph) -> FloatGraph:
    return replace(graph, outputs=(Output("c", (3, 16)),))


def with_another_input(graph: FloatGraph) -> FloatGraph:
    source = replace(graph.inputs[0], name="y")
    return replace(graph, nodes=(source, *graph.nodes))


def test_a_pass_that_breaks_its_word_is_named():
    wrong("doubled needs passes before it that remove Add", doubled, needs=(Add,))
    wrong("doubled left Add", doubled, removes=(Add,))
    wrong("narrowed changed the shapes of the outputs", narrowed)
    wrong("with_another_input changed the inputs", with_another_input)


def test_the_order_of_passes_holds():
    graph = parse("x = input() 2x4x4\nreturn x")
    assert str(fuse(graph, checked=True)) == str(fuse(graph))
    copy = identity("c", graph.inputs[0])
    both = replace(graph, nodes=(*graph.nodes, copy), outputs=(Output("c", copy.shape),))
    assert str(fuse(both, checked=True)) == str(both)


@pytest.mark.parametrize(
    "text",
    [
        # Of a whole map whose weights fit, in one term or in three; and one row alone.
        "x = input() 64x32x44\na = averagepool(x) 64x1x1 32x44 stride=(32,44) divisor=1",
        "x = input() 64x26x26\na = averagepool(x) 64x1x1 26x26 stride=(26,26) divisor=676",
        "x = input() 512x1x512\na = averagepool(x) 512x1x1 1x512 stride=(1,512) divisor=512",
        # Two steps of a small maximum, and of one of windows side by side, take no less.
        "x = input() 32x56x56\na = maxpool(x) 32x28x28 3x3 stride=(2,2) padding=(1,0,1,0)",
        "x = input() 32x56x56\na = maxpool(x) 32x7x7 8x8 stride=(8,8)",
    ],
)
def test_pooling_that_fits_stays_whole(text):
    assert str(split_pools(parse(f"{text}\nreturn a"))) == f"{text}\nreturn a"


@pytest.mark.parametrize(
    ("shape", "step", "divisor"),
    [
        # 900 weights of three terms; 50,176 words, as many as of 16 channels.
        ("16x30x30", "16x30x1 1x30 stride=(1,30)", 900),
        ("1x224x224", "1x224x1 1x224 stride=(1,224)", 1 << 16),
        # A sequence, in parts.
        ("16x1000x1", "16x2x1 500x1 stride=(500,1)", 1000),
    ],
)
def test_a_mean_of_more_than_there_is_room_for_is_taken_in_two_steps(shape, step, divisor):
    channels, *size = shape.split("x")
    kernel, stride = "x".join(size), ",".join(size)
    last = f"averagepool(x) {channels}x1x1 {kernel} stride=({stride}) divisor={divisor}"
    first = split_pools(parse(f"x = input() {shape}\na = {last}\nreturn a")).nodes[1]
    assert str(first) == f"a_row = averagepool(x) {step} divisor=1"


def test_a_padded_average_of_many_channels_is_the_same_in_two_steps():
    pool = nn.AvgPool2d((5, 3), (2, 1), (2, 1))
    model = nn.Sequential(pool)
    images = torch.randn(1, 2048, 7, 14, generator=torch.Generator().manual_seed(0))
    graph = capture(model, images)
    split = split_pools(graph)
    assert len(split.nodes) == 3
    name = graph.outputs[0].name
    torch.testing.assert_close(run(split, images)[name], pool(images))


def test_the_greatest_in_windows_far_apart_is_the_same_in_two_steps():
    text = (
        "x = input() 8x20x21\n"
        "a = maxpool(x) 8x10x9 7x6 stride=(1,2) padding=(3,-1,3,3) dilation=(2,2)"
    )
    graph = parse(f"{text}\nreturn a")
    split = split_pools(graph)
    assert len(split.nodes) == 3
    # Less than nothing, so that a border of zeros would win.
    images = torch.rand(1, 8, 20, 21, generator=torch.Generator().manual_seed(0)) - 2
    assert torch.equal(run(split, images)["a"], run(graph, images)["a"])


def test_a_sum_over_any_height_is_the_same_in_parts():
    text = "x = input() 64x113x100\na = averagepool(x) 64x1x100 113x1 stride=(113,1) divisor=113"
    graph = parse(f"{text}\nreturn a")
    split = split_pools(graph)
    assert str(split.nodes[1]) == (
        "a_row = averagepool(x) 64x6x100 19x1 stride=(19,1) padding=(0,1,0,0) divisor=1"
    )
    images = torch.randn(1, 64, 113, 100, generator=torch.Generator().manual_seed(0))
    torch.testing.assert_close(run(split, images)["a"], run(graph, images)["a"])
