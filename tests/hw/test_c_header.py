"""The C header against C's compiler, and a C program's instructions against our encoder's."""

import random
import shutil
import subprocess

import pytest

from hw.spec.c_header import c_header
from hw.spec.config import CONFIGS
from hw.spec.isa.encoding import LAYOUTS
from hw.spec.isa.header import INSTRUCTION_BYTES, Op
from hw.spec.isa.parameters import parameters
from hw.spec.registers import MAGIC, RUN_OFFSET, Control, Register

CC = shutil.which("cc")
STRICT = ("-std=c99", "-Wall", "-Wextra", "-Wconversion", "-Wno-sign-conversion", "-pedantic")
pytestmark = pytest.mark.skipif(CC is None, reason="no C compiler 'cc' on PATH")


def run(tmp_path, body, config="test"):
    """Standard output of a program with ``body`` in its main function."""
    (tmp_path / "qnn_accelerator.h").write_text(c_header(CONFIGS[config]))
    source = tmp_path / "program.c"
    source.write_text(
        '#include "qnn_accelerator.h"\n#include <stdio.h>\n#include <string.h>\n'
        f"int main(void)\n{{\n{body}\n    return 0;\n}}\n"
    )
    command = [CC, *STRICT, "-Werror", str(source), "-o", str(tmp_path / "program")]
    subprocess.run(command, check=True, capture_output=True)
    done = subprocess.run([tmp_path / "program"], check=True, capture_output=True, text=True)
    return done.stdout


def encoding(layout, values, size, start=0x00):
    """C that sets fields and prints the bytes, from ones or zeros on."""
    lines = [f"    uint8_t word[{size}];", f"    memset(word, {start}, sizeof word);"]
    lines += [
        f"    QNN_SET(word, {layout.name}_{name.upper()}, {value});"
        for name, value in values.items()
    ]
    lines += ['    for (unsigned i = 0; i < sizeof word; i++) printf("%02x", word[i]);']
    return "\n".join(lines)


@pytest.mark.parametrize("op", Op, ids=lambda op: op.name)
@pytest.mark.parametrize("seed", [0, 1])
def test_an_instruction_has_the_bytes_of_our_encoder(tmp_path, op, seed):
    rng, layout = random.Random(seed), LAYOUTS[op]
    values = {field.name: rng.randint(field.low, field.high) for field in layout.fields}
    values |= {"op": int(op)}
    expected = layout.encode(**values).to_bytes(INSTRUCTION_BYTES, "little").hex()
    assert run(tmp_path, encoding(layout, values, "QNN_INSTRUCTION_BYTES")) == expected


@pytest.mark.parametrize("config", ["test", "reference"])
def test_parameters_have_the_bytes_of_our_encoder(tmp_path, config):
    layout = parameters(CONFIGS[config])
    values = {field.name: field.low if field.signed else field.high for field in layout.fields}
    size = -(-layout.bits // 8)
    expected = layout.encode(**values).to_bytes(size, "little").hex()
    assert run(tmp_path, encoding(layout, values, size), config) == expected


def test_a_field_is_replaced_and_its_neighbours_stay(tmp_path):
    layout = LAYOUTS[Op.LOAD]  # all of its fields are unsigned
    body = encoding(layout, {"address": 5}, "QNN_INSTRUCTION_BYTES", start=0xFF)
    word = int.from_bytes(bytes.fromhex(run(tmp_path, body)), "little")
    ones = {field.name: field.high for field in layout.fields}
    assert layout.decode(word) == ones | {"address": 5}


def test_registers_and_identity_are_ours(tmp_path):
    body = (
        '    printf("%u %llu %u %u", QNN_MAGIC, (unsigned long long)QNN_FINGERPRINT, '
        "QNN_REGISTER_SCRATCH_BASE, "
        "QNN_CONTROL_START | QNN_CONTROL_INTERRUPT_ENABLE | 5u << QNN_RUN_OFFSET);"
    )
    fingerprint = CONFIGS["test"].fingerprint
    both = int(Control.START | Control.INTERRUPT_ENABLE) | 5 << RUN_OFFSET
    expected = f"{MAGIC} {fingerprint} {int(Register.SCRATCH_BASE)} {both}"
    assert run(tmp_path, body) == expected


def test_a_field_that_does_not_exist_does_not_compile(tmp_path):
    with pytest.raises(subprocess.CalledProcessError):
        run(tmp_path, "    uint8_t word[128]; QNN_SET(word, TRANSFER_COLOUR, 1);")


def test_the_same_configuration_gives_the_same_text():
    texts = {name: c_header(config) for name, config in CONFIGS.items()}
    assert texts["reference"] == texts["zcu102"] != texts["test"]
