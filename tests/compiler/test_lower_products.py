"""Products compile to convolutions of weight 1 whose sums the epilogue multiplies."""

from itertools import pairwise

import numpy as np
import pytest

from hw.spec.config import named_config
from hw.spec.isa.tiles import NO_FENCE, Tiles
from hw.spec.timing import PRODUCT_STAGES, TABLE_STAGES
from qnn.compiler import compile_graph
from qnn.compiler.check_program import ProgramError, check_program
from qnn.compiler.copy_factors import copy_factors
from qnn.errors import CompileError
from qnn.ir.reference import reference
from qnn.ir.text import parse, text
from sim import functional
from tests.graphs import images
from tests.programs import with_members

TEST = named_config("test", weight_bits=4)
GATED = parse("""
x: s8e-4 9x7x5 = input()
y: u8e-4 9x7x5 = input()
g: u6e-4 9x1x1 = input()
a: s8e-4 9x7x5 = multiply(x, y) bias=3 >>7 clamp -128..127
b: s8e-4 9x7x5 = multiply(a, g) bias=0 >>4 clamp -128..127
c: u8e-4 9x7x5 = conv(b) 1x1 w4 bias=0 + g<<2 >>4 clamp 0..255 codes=3
d: s8e-4 9x7x5 = multiply(c, c) bias=-9000 >>8 clamp -100..100
return d 315, c 315
""")


def products(image):
    return [each for each in image.program if isinstance(each, Tiles) and each.multiply]


def test_gates_squares_and_sums_with_one_value_a_channel_are_the_references():
    image = compile_graph(GATED, TEST)
    x = images(GATED, 3)
    got, want = functional.run(image, x), reference(GATED, x)
    for name, tensor in got.tensors.items():
        if name in want:
            np.testing.assert_array_equal(tensor, want[name], err_msg=name)


def test_a_product_takes_an_instruction_for_each_group_of_channels_and_one_step_more_than_a_copy():
    found = products(compile_graph(GATED, TEST))
    assert len(found) == 3 * 3  # groups of four rows
    assert {tiles.steps for tiles in found} == {2}
    assert {tiles.late(TEST) for tiles in found} == {PRODUCT_STAGES}
    assert found[0].having(table=True).late(TEST) == PRODUCT_STAGES + TABLE_STAGES
    signs = [(tiles.sum_unsigned, tiles.skip_unsigned) for tiles in found[::3]]
    assert signs == [(False, True), (False, True), (True, True)]
    # A gate is one word for all pixels.
    assert [tiles.skip_tile_x_step > 0 for tiles in found[::3]] == [True, False, True]


def test_a_narrow_unsigned_factor_is_copied_once_into_the_widest_type():
    image = compile_graph(GATED, TEST)
    assert sum(layer.name == "g_copy" for layer in image.layers) == 1
    wide = parse(text(GATED, full=True).replace("u6e-4", "u8e-4"))
    assert not any(layer.name == "g_copy" for layer in compile_graph(wide, TEST).layers)


def test_each_unsigned_factor_has_one_copy_and_a_signed_one_none():
    before = parse("""
x: s8e-4 2x3x3 = input()
y: u6e-4 2x3x3 = input()
a: s8e-4 2x3x3 = multiply(x, y) bias=0 >>7 clamp -128..127
b: s8e-4 2x3x3 = multiply(a, y) bias=0 >>7 clamp -128..127
c: u8e-4 2x3x3 = conv(y) 1x1 w4 bias=0 >>4 clamp 0..255 codes=1
return b 18, c 18
""")
    assert (
        text(copy_factors(before))
        == """\
x: s8e-4 2x3x3 = input()
y: u6e-4 2x3x3 = input()
y_copy: u6e-4 2x3x3 = depthwise(y) 1x1 w4 bias=0 >>0 clamp 0..63
a: s8e-4 2x3x3 = multiply(x, y_copy) bias=0 >>7 clamp -128..127
b: s8e-4 2x3x3 = multiply(a, y_copy) bias=0 >>7 clamp -128..127
c: u8e-4 2x3x3 = conv(y) 1x1 w4 bias=0 >>4 clamp 0..255
return b 18, c 18"""
    )


def test_a_configuration_of_wide_activations_refuses_a_product_by_its_name():
    with pytest.raises(CompileError) as refusal:
        compile_graph(GATED, named_config("test", weight_bits=4, activation_bits=11))
    assert str(refusal.value) == (
        "multiply 'a' needs activations of at most 10 bits, as an array has no products of wider "
        "ones, but the configuration has 11 (SvpeConfig.activation_bits); lower it"
    )


def test_a_sum_that_could_overtake_a_product_is_caught():
    image = compile_graph(GATED, TEST)
    program = list(image.program)
    tiles = [n for n, each in enumerate(program) if isinstance(each, Tiles)]
    behind = next(
        own
        for before, own in pairwise(tiles)
        if program[before].multiply and not program[own].multiply
    )
    with pytest.raises(ProgramError, match=r"the fence lets it (write before|read words)"):
        check_program(with_members(image, behind, fence=NO_FENCE))
