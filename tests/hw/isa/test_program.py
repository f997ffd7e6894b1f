"""Programs to bytes and to text, and back."""

import re
from dataclasses import replace

import pytest
from hypothesis import given

from hw.spec.isa.encoding import LAYOUTS, InstructionError, encode
from hw.spec.isa.end import End
from hw.spec.isa.header import INSTRUCTION_BITS, INSTRUCTION_BYTES, Engine, Op
from hw.spec.isa.program import Program
from hw.spec.isa.text import parse, text
from hw.spec.isa.tiles import Tiles
from hw.spec.isa.transfer import Transfer
from tests.hw.isa.random_programs import instructions, programs


def exactly(text):
    return f"^{re.escape(text)}$"


@given(programs())
def test_bytes_read_back_as_the_same_program(program):
    code = program.encode()
    assert len(code) == len(program) * INSTRUCTION_BYTES
    assert Program.decode(code) == program


@given(programs())
def test_text_reads_back_as_the_same_program(program):
    written = text(program)
    assert len(written.splitlines()) == len(program)
    assert parse(written) == program


@given(instructions())
def test_every_member_is_in_the_word(instruction):
    values = LAYOUTS[instruction.op].decode(encode(instruction))
    assert values["op"] == instruction.op
    assert values["tag"] == instruction.tag
    for engine in Engine:
        assert values[f"wait_{engine.word}"] == (engine in instruction.waits)
        assert values[f"signal_{engine.word}"] == (engine in instruction.signals)
    if isinstance(instruction, Tiles):
        assert tuple(values[f"skip_column_{n}"] for n in range(4)) == instruction.skip_column
        assert values["high"] == instruction.high


def test_words_are_no_longer_than_the_fetch_reads():
    assert all(layout.bits <= INSTRUCTION_BITS for layout in LAYOUTS.values())


def test_a_program_is_a_sequence():
    program = Program((Transfer(op=Op.LOAD, words=3), End()))
    assert len(program) == 2
    assert program[1] == End()
    assert [instruction.op for instruction in program] == [Op.LOAD, Op.END]


def test_text_leaves_out_defaults_and_comments():
    program = Program(
        (
            Transfer(op=Op.LOAD, words=3, tag=1, signals=frozenset({Engine.STORE, Engine.COMPUTE})),
            End(),
        )
    )
    assert text(program) == "load    words=3 tag=1 signal=compute,store\nend\n"
    commented = "# a program\n\nload words=3 tag=1 signal=store,compute # of conv1\nend\n"
    assert parse(commented) == program


@pytest.mark.parametrize(
    ("line", "error"),
    [
        ("jump", "an instruction begins with one of end, load, store, conv, maxpool, not 'jump'"),
        ("load word=3", "load has no operand 'word=3'"),
        ("load words", "load has no operand 'words'"),
        ("end words=3", "end has no operand 'words=3'"),
        ("load words=3 words=4", "load has the operand 'words' twice"),
        ("load words=three", "load cannot have words=three"),
        ("load buffer=stack", "load cannot have buffer=stack"),
        ("load wait=fetch", "load cannot have wait=fetch"),
        ("conv kernel=3", "conv cannot have kernel=3"),
        ("conv column_x=1,2", "conv cannot have column_x=1,2"),
    ],
)
def test_a_line_that_is_no_instruction_is_named(line, error):
    with pytest.raises(InstructionError, match=exactly(f"p.txt, line 2: {error}")):
        parse(f"end\n{line}\n", "p.txt")


def test_bytes_that_are_no_program_are_named():
    wrong = "image: a program of 129 bytes; compile it again"
    with pytest.raises(InstructionError, match=exactly(wrong)):
        Program.decode(bytes(129), "image")
    code = bytearray(Program((End(), End())).encode())
    code[INSTRUCTION_BYTES] = 9
    wrong = "image: instruction 1 has operation code 9, which does not exist; compile it again"
    with pytest.raises(InstructionError, match=exactly(wrong)):
        Program.decode(bytes(code), "image")


def test_a_buffer_that_does_not_exist_is_named():
    offset = sum(field.bits for field in LAYOUTS[Op.LOAD].fields[:9]) + 2
    assert LAYOUTS[Op.LOAD].fields[10].name == "buffer"
    word = encode(Transfer(op=Op.LOAD, words=1)) | 5 << offset
    code = word.to_bytes(INSTRUCTION_BYTES, "little")
    wrong = "program: instruction 0 has buffer 5, which does not exist; compile it again"
    with pytest.raises(InstructionError, match=exactly(wrong)):
        Program.decode(code)


def test_a_value_that_does_not_fit_its_field_is_named():
    program = Program((Transfer(op=Op.LOAD, words=1 << 20),))
    wrong = "TRANSFER.words must be from 0 to 1048575, not 1048576"
    with pytest.raises(ValueError, match=exactly(wrong)):
        program.encode()


def test_an_operation_of_another_kind_is_refused():
    with pytest.raises(ValueError, match=r"^Transfer op must be LOAD or STORE, not <Op\.CONV: 3>$"):
        Transfer(op=Op.CONV)
    with pytest.raises(ValueError, match=r"^Tiles op must be CONV or MAXPOOL, not <Op\.END: 0>$"):
        Tiles(op=Op.END)
    with pytest.raises(ValueError, match=r"^End op must be END, not <Op\.LOAD: 1>$"):
        replace(End(), op=Op.LOAD)
