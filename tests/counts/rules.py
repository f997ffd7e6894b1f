"""Each rule of the instruction set stands in its one home; what a copy of it looks like."""

import re
from collections.abc import Iterator
from dataclasses import dataclass, field


@dataclass(frozen=True, kw_only=True)
class Rule:
    """What a copy of a rule looks like, where the rule lives, and what looks alike elsewhere.

    Members
    -------
    pattern : of a line that has the rule in it
    home : the file that owns the rule
    others : file, or folder, to what its own line is, which is another rule of that look
    copy : a line that must be found, for the negative test
    """

    pattern: str
    home: str
    copy: str
    others: dict[str, str] = field(default_factory=dict)


RULES = {
    "bytes that a buffer's word takes in memory": Rule(
        pattern=r"\bbeats\(.*\* *[\w.]*bus_bytes|\bbeats \* [\w.]*bus_bytes",
        home="hw/spec/isa/buffers.py",
        copy="size = config.beats(config.feature_bits) * config.bus_bytes",
    ),
    "bits of a parameter word": Rule(
        pattern=r"\brows \* [\w.]*parameter_bits",
        home="hw/spec/isa/buffers.py",
        copy="bits = config.rows * config.parameter_bits",
    ),
    "steps of a tile": Rule(
        pattern=r"\bkernel_[xy]\b.*\*.*\bkernel_[xy]\b.*\*.*\bblocks\b",
        home="hw/spec/isa/tiles.py",
        copy="steps = tiles.kernel_x * tiles.kernel_y * tiles.blocks * tiles.terms",
    ),
    "cycles of a tile": Rule(
        pattern=r"\bmax\([^()]*\bsteps\b[^()]*, [\w.]*interval\)",
        home="hw/spec/isa/tiles.py",
        copy="cycles = count * max(tiles.steps, tiles.interval)",
    ),
    "a mapping of field names instead of an instruction": Rule(
        pattern=r"(?<!STRUCT)\[f?\"(kernel_[xy]|tiles_[xy]|wait_|signal_|"
        r"(input|output|weight|parameter|skip)_address|(block|kernel_y|pass|address|offset)_step)",
        home="hw/spec/isa/encoding.py",
        copy='steps = fields["kernel_x"]',
        others={
            "hw/tokens.py": "members of an Amaranth structure",
            "sim/draw_tiles.py": "numbers of which an instruction is about to be made",
        },
    ),
    "the page that no burst crosses": Rule(
        pattern=r"\b(4_?096|0x1000|1 << 12)\b",
        home="hw/spec/axi.py",
        copy="PAGE_BYTES = 4096",
        others={
            "hw/spec/config.py": "depths of buffers, in words",
            "hw/spec/registers.py": "the window of the registers, in bytes",
            "hw/spec/resources.py": "a shape of a block RAM, in words",
            "qnn/eda/blocks.py": "the depth of a buffer, in words",
            "qnn/archive_file.py": "the smallest dictionary of LZMA, in bytes",
            "boards/vivado/rules.py": "the smallest range of Vivado's address editor, in bytes",
            "boards/zynqmp/boards/": "the size of a memory chip, in Mbit",
        },
    ),
    "bits of a weight code": Rule(
        pattern=r"\b2 to 5\b|\brange\(2, 6\)|\bweight_bits, 2, 5\b|\b2 <= \w+ <= 5\b",
        home="hw/spec/isa/codes.py",
        copy='raise ValueError(f"weight_bits must be from 2 to 5, not {bits}")',
    ),
    "the largest index of a code": Rule(
        pattern=r"\(1 << \([\w.]*bits - 1\)\) - [12]",
        home="hw/spec/isa/codes.py",
        copy="most = (1 << (config.weight_bits - 1)) - 1",
    ),
    "what an index multiplies by": Rule(
        pattern=r"1 << \(?(m - 1|\w*\.?abs\(|abs\(|\w*index\w* - 1)",
        home="hw/spec/isa/codes.py",
        copy="value = 1 << (m - 1)",
    ),
}


def copies(rule: Rule, path: str, text: str) -> Iterator[str]:
    """Lines of the file ``path`` that have the rule in them, and should not."""
    if path == rule.home or path.startswith(tuple(rule.others)):
        return
    for number, line in enumerate(text.splitlines(), start=1):
        if re.search(rule.pattern, line):
            yield f"{path}:{number}: {line.strip()}"
