import pytest

from hw.pe import ProcessingElement
from hw.spec.config import SvpeConfig
from hw.verilog import files
from qnn.eda.longest_path import longest_path
from qnn.eda.synthesis import synthesis


def netlist(*cells):
    named = {str(n): {"type": kind, "connections": ports} for n, (kind, ports) in enumerate(cells)}
    return {"modules": {"top": {"cells": named}}}


def lut(inputs, output):
    return "LUT4", {**{f"I{n}": [bit] for n, bit in enumerate(inputs)}, "O": [output]}


def length(*cells):
    path = longest_path(netlist(*cells), "top")
    return path.luts, path.carry_bits


def test_luts_one_behind_the_other_count():
    assert length(lut([1, 2], 3), lut([3, 2], 4), lut([1], 5)) == (2, 0)


def test_registers_end_a_path():
    register = ("FDRE", {"D": [3], "Q": [4], "C": [0]})
    assert length(lut([1], 3), register, lut([4], 5)) == (1, 0)


def test_a_carry_chain_counts_the_bits_that_a_carry_runs_through():
    ports = {"CI": ["0"], "S": [10, 11, 12], "DI": [1, 2, 3], "O": [20, 21, 22], "CO": [30, 31, 32]}
    assert length(lut([1], 10), ("CARRY8", ports)) == (1, 3)  # from the lowest S to CO[2]


def test_the_most_of_each_may_be_on_different_paths():
    ports = {"CI": ["0"], "S": [10, 11, 12], "DI": [1, 2, 3], "O": [20, 21, 22]}
    behind = lut([1], 5), lut([5], 6), lut([6], 7)
    assert length(("CARRY8", ports), *behind) == (3, 2)


def test_a_chain_goes_on_in_the_next_cell():
    low = {"CI": ["0"], "S": [10, 11], "DI": [1, 2], "O": [20, 21], "CO": [30, 31]}
    high = {"CI": [31], "S": [12, 13], "DI": [3, 4], "O": [22, 23]}
    assert length(("CARRY8", low), ("CARRY8", high)) == (0, 3)


def test_a_loop_without_a_register_is_refused():
    with pytest.raises(ValueError, match="needs a register in every loop"):
        length(lut([2], 1), lut([1], 2))


@pytest.mark.rtl
@pytest.mark.parametrize("weight_bits", [2, 3, 4, 5])
def test_a_stage_of_a_processing_element_is_a_lut_or_one_adder(weight_bits):
    """An adder of three terms has a LUT for its carries before the LUTs of its chain.

    Before the accumulator's, one more LUT moves the sum at the first step of a term.
    """
    config = SvpeConfig(lanes=8, rows=1, columns=1, weight_bits=weight_bits)
    _, found = synthesis(files(ProcessingElement(config), "qnn_pe", mapped=True), "qnn_pe")
    path = longest_path(found, "qnn_pe")
    assert path.luts == 3
    assert path.carry_bits <= config.accumulator_bits
