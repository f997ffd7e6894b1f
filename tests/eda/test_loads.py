from qnn.eda.loads import most_loads


def netlist(cells, names):
    nets = {name: {"bits": bits, "hide_name": int("$" in name)} for name, bits in names.items()}
    part = {"ports": {"in": {"direction": "input"}, "out": {"direction": "output"}}, "cells": {}}
    top = {"cells": dict(enumerate(cells)), "netnames": nets}
    return {"modules": {"top": top, "part": part}}


def cell(kind, **connections):
    return {"type": kind, "connections": {pin: [bit] for pin, bit in connections.items()}}


def test_loads_are_the_inputs_of_cells_and_parts_and_no_outputs_and_no_clocks():
    register = cell("FDRE", C=1, D=2, Q=3, CE="1", R="0")
    cells = [register, cell("LUT2", I0=3, I1=4, O=2), cell("part", **{"in": 3, "out": 4})]
    names = {"clk": [1], "next": [2], "$auto$1": [3], "held": [9, 3], "answer": [4]}
    assert most_loads(netlist(cells, names), "top") == ("held", 2)
    # Four loads of the clock are none.
    assert most_loads(netlist([register] * 4, names), "top") == ("next", 4)


def test_a_pin_of_a_memory_that_gives_data_is_no_load():
    cells = [cell("RAM32M16", DIA=1, DOA=2, ADDRA=3), cell("RAMB18E2", DOUTADOUT=2, ADDRARDADDR=3)]
    assert most_loads(netlist(cells, {"data": [2], "address": [3]}), "top") == ("address", 2)
