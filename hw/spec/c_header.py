"""The register map, the instructions and the epilogue's parameters as a C header."""

from hw.spec.config import SvpeConfig
from hw.spec.isa.buffers import Buffer, Region
from hw.spec.isa.encoding import LAYOUTS
from hw.spec.isa.header import INSTRUCTION_BYTES, Op
from hw.spec.isa.parameters import parameters
from hw.spec.registers import (
    MAGIC,
    RUN_BITS,
    RUN_OFFSET,
    WINDOW_BYTES,
    Control,
    Error,
    Register,
    Status,
)

ENUMS = {
    "REGISTER": Register,
    "CONTROL": Control,
    "STATUS": Status,
    "ERROR": Error,
    "OP": Op,
    "BUFFER": Buffer,
    "REGION": Region,
}
HEAD = """\
/* The accelerator's registers and instructions, made by qnn from hw.spec; do not edit.
 *
 * Registers have 32 bits and lie at byte addresses; values of 64 bits take two, low word first.
 * A field of a layout is _BITS wide and starts at bit _OFFSET, counted from bit 0 of byte 0.
 */
#ifndef QNN_ACCELERATOR_H
#define QNN_ACCELERATOR_H

#include <stdint.h>
"""
TAIL = """\
/* Puts the low `bits` bits of `value` at bit `offset` of `word`. */
static inline void qnn_put(uint8_t *word, unsigned offset, unsigned bits, uint64_t value)
{
    for (unsigned bit = 0; bit < bits; bit++) {
        unsigned place = offset + bit;
        uint8_t mask = (uint8_t)(1u << (place % 8));
        if (value >> bit & 1)
            word[place / 8] |= mask;
        else
            word[place / 8] &= (uint8_t)~mask;
    }
}

/* Sets a field: QNN_SET(word, TRANSFER_WORDS, 12). Signed values are cast to two's complement. */
#define QNN_SET(word, field, value) \\
    qnn_put((word), QNN_##field##_OFFSET, QNN_##field##_BITS, (uint64_t)(value))

#endif
"""


def c_header(config: SvpeConfig) -> str:
    """The text of ``qnn_accelerator.h`` for one configuration."""
    lines = [HEAD, f"/* {config} */"]
    lines += [
        f"#define QNN_MAGIC {MAGIC:#010x}u",
        f"#define QNN_FINGERPRINT UINT64_C({config.fingerprint:#018x})",
        f"#define QNN_WINDOW_BYTES {WINDOW_BYTES}u",
        "/* The number of a run: written with CONTROL, and read with STATUS. */",
        f"#define QNN_RUN_OFFSET {RUN_OFFSET}u",
        f"#define QNN_RUN_BITS {RUN_BITS}u",
        f"#define QNN_INSTRUCTION_BYTES {INSTRUCTION_BYTES}u",
    ]
    for prefix, members in ENUMS.items():
        lines += ["", *(f"#define QNN_{prefix}_{m.name} {int(m):#04x}u" for m in members)]
    layouts = {layout.name: layout for layout in LAYOUTS.values()}
    for layout in (*layouts.values(), parameters(config)):
        lines.append("")
        offset = 0
        for field in layout.fields:
            name = f"QNN_{layout.name}_{field.name.upper()}"
            sign = "  /* signed */" if field.signed else ""
            lines += [
                f"#define {name}_OFFSET {offset}u",
                f"#define {name}_BITS {field.bits}u{sign}",
            ]
            offset += field.bits
    return "\n".join([*lines, "", TAIL])
