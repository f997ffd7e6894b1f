"""An image's program as text: one line an instruction, for people and golden files."""

from hw.spec.image import Image
from hw.spec.isa.buffers import Buffer, Region
from hw.spec.isa.header import Op
from qnn.compiler.disassemble import instructions
from qnn.compiler.program import NAMES


def program_text(image: Image) -> str:
    """Every instruction: its number, what it does, and after ``|`` its waits and signals."""
    lines = []
    for number, fields in enumerate(instructions(image)):
        tokens = [f"{verb} {n}" for verb in ("wait", "signal") for n in NAMES]
        given = [t for t in tokens if fields[t.replace(" ", "_")]]
        body = _BODIES[fields["op"]](fields, image)
        lines.append(f"{number:3} {fields['op'].name.lower():8}{body}" + _suffix(given))
    return "\n".join(line.rstrip() for line in lines) + "\n"


def _suffix(given):
    return f" | {', '.join(given)}" if given else ""


def _transfer(fields, image):
    memory = f"{Region(fields['region']).name.lower()}+{fields['offset']}"
    buffer = f"{Buffer(fields['buffer']).name.lower()}[{fields['address']}]"
    size = f"{fields['words']} words"
    if fields["rows"] > 1:
        size = f"{fields['rows']} x {size}, steps {fields['address_step']} words and "
        size += f"{fields['offset_step']} bytes"
    ends = (buffer, memory) if fields["op"] is Op.STORE else (memory, buffer)
    return f"{ends[0]} -> {ends[1]}: {size}"


def _tiles(fields, image):
    name = image.layers[fields["tag"]].name
    loops = [f"{fields['tile_width']}x{fields['tile_height']} pixels"]
    loops.append(f"{fields['tiles_x']}x{fields['tiles_y']} tiles")
    loops.append(f"{fields['kernel_x']}x{fields['kernel_y']} kernel")
    loops += [f"{fields[n]} {n}" for n in ("blocks", "terms") if fields[n] > 1]
    parts = [f"'{name}' features[{fields['input_address']}]"]
    if fields["op"] is Op.CONV:
        parts.append(f"weights[{fields['weight_address']}]")
        parts.append(f"parameters[{fields['parameter_address']}]")
    if fields["skip"]:
        parts.append(f"+ features[{fields['skip_address']}].{fields['skip_part']}")
    target = f"-> features[{fields['output_address']}].{fields['output_part']}"
    return f"{' '.join(parts)} {target}: {', '.join(loops)}, fence {fields['fence']}"


_BODIES = {
    Op.LOAD: _transfer,
    Op.STORE: _transfer,
    Op.CONV: _tiles,
    Op.MAXPOOL: _tiles,
    Op.END: lambda fields, image: "",
}
