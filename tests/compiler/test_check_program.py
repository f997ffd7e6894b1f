from dataclasses import replace

import pytest

from hw.spec.config import named_config
from hw.spec.isa.buffers import Region
from hw.spec.isa.encoding import LAYOUTS
from hw.spec.isa.header import INSTRUCTION_BYTES, Op
from qnn.compiler import compile_graph
from qnn.compiler.check_program import ProgramError, check_program
from qnn.compiler.disassemble import instructions
from tests.compiler import small_graphs


def changed(image, index, **values):
    """``image`` with some fields of one instruction set."""
    fields = {**instructions(image)[index], **values}
    word = LAYOUTS[fields["op"]].encode(**fields).to_bytes(INSTRUCTION_BYTES, "little")
    start = index * INSTRUCTION_BYTES
    payload = image.payload[:start] + word + image.payload[start + INSTRUCTION_BYTES :]
    return replace(image, payload=payload)


def first(image, op, **values):
    """Index of the first instruction of that kind with those fields."""
    program = instructions(image)
    return next(
        i
        for i, fields in enumerate(program)
        if fields["op"] is op and all(fields[name] == value for name, value in values.items())
    )


CASES = {
    "no token comes from load: a deadlock": (Op.LOAD, {"signal_compute": 1}, {"signal_compute": 0}),
    "tokens from store to load are never taken": (Op.STORE, {}, {"signal_load": 1}),
    "outside buffer FEATURES": (Op.CONV, {}, {"output_address": 2047}),
    "outside its region": (Op.STORE, {}, {"offset": 1 << 20}),
    "not at a whole beat": (Op.LOAD, {}, {"offset": 4}),
    "reads unwritten words of FEATURES": (Op.CONV, {}, {"input_address": 1500}),
    "reads unwritten words of WEIGHTS": (Op.CONV, {}, {"weight_address": 400}),
    "reads unwritten words of PARAMETERS": (Op.CONV, {}, {"parameter_address": 40}),
    "two columns must not read one bank in one step": (
        Op.CONV,
        {},
        {"column_address_0": 4},
    ),
    "interval is too short": (Op.CONV, {}, {"interval": 1}),
    "the fence lets it read words that have not landed": (Op.CONV, {"skip": 1}, {"fence": 4000}),
}


@pytest.mark.parametrize("rule", CASES)
def test_a_broken_program_is_caught(rule):
    image = compile_graph(small_graphs.network(), named_config("test"))
    op, having, values = CASES[rule]
    with pytest.raises(ProgramError, match=rule):
        check_program(changed(image, first(image, op, **having), **values))


def test_tiles_that_end_closer_than_the_array_has_columns_are_caught():
    x = small_graphs.image(8, 1, 1)
    config = named_config("test", columns=8)
    image = compile_graph(small_graphs.graph(x, small_graphs.conv("c", x, 8)), config)
    index = first(image, Op.CONV, columns=1, passes=1)
    check_program(changed(image, index, interval=8))
    with pytest.raises(ProgramError, match="interval is too short"):
        check_program(changed(image, index, interval=7))


def test_a_store_that_waits_for_nothing_is_caught():
    image = compile_graph(small_graphs.one_conv(), named_config("test"))
    conv = max(i for i, f in enumerate(instructions(image)) if f["op"] is Op.CONV)
    loose = changed(image, conv, signal_store=0)
    loose = changed(loose, first(image, Op.STORE), wait_compute=0)
    with pytest.raises(ProgramError, match="touches FEATURES that compute still writes"):
        check_program(loose)


def test_weights_overwritten_while_in_use_are_caught():
    config = replace(named_config("test"), weight_words=64, parameter_words=4)
    image = compile_graph(small_graphs.concat(), config)
    load = first(image, Op.LOAD, buffer=1, wait_compute=1)
    giver = max(
        i
        for i, f in enumerate(instructions(image)[:load])
        if f["op"] is Op.CONV and f["signal_load"]
    )
    loose = changed(changed(image, load, wait_compute=0), giver, signal_load=0)
    with pytest.raises(ProgramError, match="overwrites WEIGHTS that compute still reads"):
        check_program(loose)


def test_more_tokens_than_a_counter_holds_are_caught():
    image = compile_graph(small_graphs.one_conv(), named_config("test"))
    program = instructions(image)
    load = next(f for f in program if f["op"] is Op.LOAD)
    give, take = {**load, "signal_store": 1}, {**load, "signal_store": 0}
    words = [give] * 256 + program[:-1]
    store = next(f for f in program if f["op"] is Op.STORE)
    words += [{**store, "wait_load": 1, "wait_compute": 0}] * 256 + [take, program[-1]]
    data = b"".join(
        LAYOUTS[f["op"]].encode(**f).to_bytes(INSTRUCTION_BYTES, "little") for f in words
    )
    payload = data + image.payload[image.program_bytes :]
    flooded = replace(image, payload=payload, program_bytes=len(data))
    with pytest.raises(ProgramError, match="more than 8 bits of tokens for store"):
        check_program(flooded)


def in_strips(batch=1, make=small_graphs.network):
    """A program whose strips go through memory."""
    config = replace(named_config("test"), feature_words=64)
    return compile_graph(make(), config, batch)


def test_a_strip_that_is_loaded_before_it_is_stored_is_caught():
    image = in_strips(make=small_graphs.spread)
    load = first(image, Op.LOAD, region=Region.SCRATCH, wait_store=1)
    program = instructions(image)
    giver = next(i for i, f in enumerate(program) if f["op"] is Op.STORE and f["signal_load"])
    loose = changed(changed(image, giver, signal_load=0), load, wait_store=0)
    with pytest.raises(ProgramError, match="touches SCRATCH that store still writes"):
        check_program(loose)


def test_a_strip_that_is_stored_over_one_still_to_be_loaded_is_caught():
    image = in_strips()
    load = first(image, Op.LOAD, region=Region.SCRATCH, wait_store=0)
    store = next(i for i, f in enumerate(instructions(image)) if i > load and f["op"] is Op.STORE)
    over = changed(image, store, offset=instructions(image)[load]["offset"])
    with pytest.raises(ProgramError, match="overwrites SCRATCH that load still reads"):
        check_program(over)


def test_rows_of_scratch_that_nothing_stored_are_caught():
    image = in_strips()
    load = first(image, Op.LOAD, region=Region.SCRATCH)
    with pytest.raises(ProgramError, match="reads unwritten words of SCRATCH"):
        check_program(changed(image, load, offset=instructions(image)[load]["offset"] + 400))


def test_a_transfer_past_the_end_of_scratch_is_caught():
    image = in_strips()
    store = first(image, Op.STORE, region=Region.SCRATCH)
    with pytest.raises(ProgramError, match="outside its region"):
        check_program(changed(image, store, offset=image.scratch_bytes))
