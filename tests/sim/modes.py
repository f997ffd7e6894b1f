"""What instructions can tell an accelerator to do, and which of it a program tells."""

from collections.abc import Iterator

from hw.spec.config import SvpeConfig
from hw.spec.image import Image
from hw.spec.isa.buffers import Buffer, Region
from hw.spec.isa.header import Engine, Op
from hw.spec.isa.parameters import parameters
from hw.spec.isa.tiles import Tiles
from hw.spec.isa.transfer import Transfer

# Each of them counts a loop, whose first turn and whose further ones are different cases.
LOOPS = ("terms", "blocks", "kernel_x", "kernel_y", "tiles_x", "tiles_y", "passes")
SHIFTS = ("left", "skip_left", "right")
TOKENS = (  # who waits for whom, in programs of the compiler
    (Engine.LOAD, Engine.COMPUTE),
    (Engine.LOAD, Engine.STORE),
    (Engine.COMPUTE, Engine.LOAD),
    (Engine.COMPUTE, Engine.STORE),
    (Engine.STORE, Engine.COMPUTE),
    (Engine.STORE, Engine.LOAD),
)
PLACES = (  # of a transfer: operation, buffer, region
    (Op.LOAD, Buffer.FEATURES, Region.INPUT),
    (Op.LOAD, Buffer.FEATURES, Region.SCRATCH),
    (Op.LOAD, Buffer.WEIGHTS, Region.IMAGE),
    (Op.LOAD, Buffer.PARAMETERS, Region.IMAGE),
    (Op.STORE, Buffer.FEATURES, Region.OUTPUT),
    (Op.STORE, Buffer.FEATURES, Region.SCRATCH),
)

LOAD_TABLES = (Op.LOAD, Buffer.TABLES, Region.IMAGE)  # where there are tables


def every_mode(config: SvpeConfig) -> set[str]:
    """All modes that programs for ``config`` can use."""
    found = {_place(*place) for place in PLACES}
    found |= {_token(*pair) for pair in TOKENS}
    found |= {f"{loop} of one" for loop in LOOPS} | {f"{loop} of several" for loop in LOOPS}
    found |= {"convolution", "pooling", "skip operand", "no skip operand"}
    found |= {f"padding at the {side}" for side in ("top", "bottom", "left", "right")}
    found |= {"padding of zero", "padding of another value", "fence"}
    found |= {"a step of two or more in x", "a step of two or more in y", "dilation"}
    found |= {"results side by side", "results with others between them"}
    found |= {"a clamp that is not the type's", "every column", "tiles of one row"}
    # One column has one pixel at a time.
    found |= {"tiles of several rows", "a tile that is cut"} if config.columns > 1 else set()
    found |= {f"output part {part}" for part in range(config.parts)}
    found |= {f"skip part {part}" for part in range(config.parts)}
    found |= {f"{name} {kind}" for name in SHIFTS for kind in ("of zero", "of more")}
    found |= {"bias above zero", "bias below zero"}
    if config.tables:
        found |= {_place(*LOAD_TABLES), "table", "a plain result behind one of a table"}
        found |= {"a clamp that is not the index's", "tables of the first slot"}
        found |= {"tables of another slot"} if config.tables > 1 else set()
    found |= {"a skip operand for each pixel", "a skip operand for all pixels"}
    found |= set(_factors()) if config.multiplies else set()
    found |= {_neighbours(1 + n) for n in range(config.neighbours)}
    # Multipliers take a weight of several terms as one integer.
    return found if config.pe == "shift" else found - {"terms of several"}


def modes(image: Image) -> set[str]:
    """The modes that the program and the parameters of ``image`` use."""
    found: set[str] = set()
    late = 0  # of the newest computation
    for instruction in image.program:
        found |= {_token(instruction.engine, other) for other in instruction.waits}
        if isinstance(instruction, Transfer):
            found.add(_place(instruction.op, instruction.buffer, instruction.region))
            if instruction.buffer is Buffer.PARAMETERS:
                found |= set(_parameters(image, instruction))
        if isinstance(instruction, Tiles):
            found |= set(_tiles(instruction, image.config))
            if instruction.late(image.config) < late:
                found.add("a plain result behind one of a table")
            late = instruction.late(image.config)
    return found


def _place(op, buffer, region):
    return f"{op.name.lower()} {buffer.name.lower()}, {region.name.lower()}"


def _token(engine, other):
    return f"{engine.word} waits for {other.word}"


def _count(name, value):
    return f"{name} of {'one' if value == 1 else 'several'}"


def _tiles(tiles: Tiles, config: SvpeConfig) -> Iterator[str]:
    yield "convolution" if tiles.op is Op.CONV else "pooling"
    yield from (_count(loop, getattr(tiles, loop)) for loop in LOOPS)
    yield f"output part {tiles.output_part}"
    if tiles.fence:
        yield "fence"
    yield "tiles of one row" if tiles.tile_height == 1 else "tiles of several rows"
    yield from _padding(tiles)
    yield from _steps(tiles)
    if tiles.op is Op.CONV:
        yield "skip operand" if tiles.skip else "no skip operand"
        low = 1 << (config.table_bits if tiles.table else config.activation_bits) - 1
        if tiles.passes == 1 and (tiles.low, tiles.high) != (-low, low - 1):
            yield f"a clamp that is not the {'index' if tiles.table else 'type'}'s"
    if tiles.table:
        yield "table"
        yield f"tables of {'another' if tiles.table_address else 'the first'} slot"
    if tiles.skip:
        yield f"skip part {tiles.skip_part}"
        pixels = "each pixel" if tiles.skip_tile_x_step else "all pixels"
        yield f"a skip operand for {pixels}"
    if tiles.neighbours:
        yield _neighbours(tiles.neighbours)
    if tiles.multiply:
        yield _factor(tiles.sum_unsigned, tiles.skip_unsigned)
    if tiles.columns == config.columns:
        yield "every column"
    if tiles.output_width % tiles.tile_width or tiles.output_height % tiles.tile_height:
        yield "a tile that is cut"


def _neighbours(count):
    return f"values of {count} neighbours"


def _factors():
    return (_factor(one, other) for one in (False, True) for other in (False, True))


def _factor(one, other):
    return " times ".join("an unsigned factor" if each else "a signed one" for each in (one, other))


def _padding(tiles):
    down = (tiles.output_height - 1) * (tiles.tile_y_stride // tiles.tile_height)
    right = (tiles.output_width - 1) * (tiles.tile_x_stride // tiles.tile_width)
    sides = {
        "top": tiles.input_y < 0,
        "left": tiles.input_x < 0,
        "bottom": tiles.input_y + down + (tiles.kernel_y - 1) * tiles.kernel_y_stride
        >= tiles.input_height,
        "right": tiles.input_x + right + (tiles.kernel_x - 1) * tiles.kernel_x_stride
        >= tiles.input_width,
    }
    yield from (f"padding at the {side}" for side, there in sides.items() if there)
    if any(sides.values()):
        yield "padding of another value" if tiles.pad_value else "padding of zero"


def _steps(tiles):
    yield "results side by side" if tiles.output_step == 1 else "results with others between them"
    if tiles.tile_x_stride > tiles.tile_width:
        yield "a step of two or more in x"
    if tiles.tile_y_stride > tiles.tile_height:
        yield "a step of two or more in y"
    if (tiles.kernel_x > 1 and tiles.kernel_x_stride > 1) or (
        tiles.kernel_y > 1 and tiles.kernel_y_stride > 1
    ):
        yield "dilation"


def _parameters(image, load):
    """What the epilogue's parameters that are loaded make it do."""
    layout, size = parameters(image.config), load.buffer.word_bytes(image.config)
    for number in range(load.words):
        start = load.offset + number * size
        word = int.from_bytes(image.payload[start : start + size], "little")
        for row in range(image.config.rows):
            found = layout.decode(word >> (row * layout.bits))
            yield from (f"{name} of {'more' if found[name] else 'zero'}" for name in SHIFTS)
            if found["bias"]:
                yield f"bias {'above' if found['bias'] > 0 else 'below'} zero"
