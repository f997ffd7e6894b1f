"""The program in an order that is right when executed one instruction after the other."""

from dataclasses import dataclass

from hw.spec.config import SvpeConfig
from hw.spec.image import TensorLayout
from hw.spec.isa.buffers import Buffer, Region
from hw.spec.isa.header import Op
from qnn.compiler.lower import Work
from qnn.compiler.program import Instruction, Span
from qnn.compiler.residency import Chunk, chunks, overlap, resident
from qnn.compiler.segments import block_count

# Phases of what stands before the same compute instruction.
FIRST_WEIGHTS, STORES, INPUTS, INPUT_STORES, WEIGHTS, COMPUTE = range(6)


@dataclass(frozen=True, kw_only=True)
class Memory:
    """Where the payload keeps what is loaded: byte offsets by work, and whole words."""

    weight_offsets: list[int]
    parameter_offsets: list[int]
    weight_bytes: int  # of a word
    parameter_bytes: int
    feature_bytes: int


@dataclass(frozen=True, kw_only=True)
class Transfers:
    """The network's inputs and outputs: on chip, and in memory for each image."""

    input_name: str
    input_chip: TensorLayout
    input_memory: tuple[TensorLayout, ...]
    output_names: tuple[str, ...]  # of the layer that finishes each output
    output_chip: tuple[TensorLayout, ...]
    output_memory: tuple[tuple[TensorLayout, ...], ...]  # by image, then output
    prefetch: bool  # the input's words are nobody else's: the next image may come early


def schedule(
    works: list[Work],
    last_reader: int,
    transfers: Transfers,
    memory: Memory,
    tags: dict[tuple[int, str], int],
    config: SvpeConfig,
) -> list[Instruction]:
    """Every instruction of the batch, END last, without tokens.

    ``last_reader`` is the index of the last work that reads the network's input.
    """
    images = len(transfers.input_memory)
    parts = _split(works, images, config)
    events = []
    for image in range(images):
        base = image * len(works)
        events += _computes(works, parts, image, base, tags)
        at = base if image == 0 or not transfers.prefetch else base - len(works) + last_reader + 1
        events.append((at, INPUTS, _load_input(transfers, image, memory, config)))
        events += _stores(works, transfers, image, base, memory, config)
    events += _load_chunks(parts, works, memory, tags, config)
    ordered = sorted(events, key=lambda event: event[:2])  # stable: else as they were added
    return [*(event[2] for event in ordered), Instruction(op=Op.END, fields={"op": Op.END})]


@dataclass(frozen=True)
class _Part:
    """A chunk in the batch: its loads stand for works from ``base`` on."""

    chunk: Chunk
    base: int
    loaded: bool


def _split(works, images, config):
    """The chunks of all images; weights that stay are loaded for the first."""
    if not works:
        return []
    once = resident(works, config)
    plan = chunks(works, config)
    return [
        _Part(chunk, image * len(works), image == 0 or not once)
        for image in range(images)
        for chunk in plan
    ]


def _computes(works, parts, image, base, tags):
    events = []
    for part in parts:
        if part.base != base:
            continue
        weight, parameter = part.chunk.weight_address, part.chunk.parameter_address
        for index in range(part.chunk.first, part.chunk.last):
            work = works[index]
            instruction = _placed(work, weight, parameter, tags[image, work.name])
            events.append((base + index, COMPUTE, instruction))
            weight += work.weight_words
            parameter += bool(work.parameters)
    return events


def _placed(work, weight, parameter, tag):
    instruction = work.instruction.with_fields(tag=tag)
    if not work.parameters:
        return instruction
    spans = (
        Span(Buffer.WEIGHTS, weight, weight + work.weight_words),
        Span(Buffer.PARAMETERS, parameter, parameter + 1),
    )
    fields = {**instruction.fields, "weight_address": weight, "parameter_address": parameter}
    return Instruction(
        op=instruction.op,
        fields=fields,
        reads=(*instruction.reads, *spans),
        writes=instruction.writes,
    )


def _load_chunks(parts, works, memory, tags, config):
    """Each chunk's loads, before the chunk ahead of it computes if that one's words are others."""
    events = []
    for number, part in enumerate(parts):
        if not part.loaded:
            continue
        at, phase = part.base + part.chunk.first, WEIGHTS
        if number == 0:
            phase = FIRST_WEIGHTS
        elif not overlap(part.chunk, parts[number - 1].chunk):
            at = parts[number - 1].base + parts[number - 1].chunk.first
        image = part.base // len(works)
        tag = tags[image, works[part.chunk.first].name]
        events += [(at, phase, load) for load in _chunk_loads(part.chunk, memory, tag)]
    return events


def _chunk_loads(chunk, memory, tag):
    plans = (
        (Buffer.PARAMETERS, chunk.parameter_address, chunk.parameters, memory.parameter_bytes),
        (Buffer.WEIGHTS, chunk.weight_address, chunk.weights, memory.weight_bytes),
    )
    offsets = (memory.parameter_offsets[chunk.first], memory.weight_offsets[chunk.first])
    return [
        _transfer(Op.LOAD, buffer, Region.IMAGE, address, words, offset, word_bytes, tag)
        for (buffer, address, words, word_bytes), offset in zip(plans, offsets, strict=True)
        if words
    ]


def _load_input(transfers, image, memory, config):
    place, source = transfers.input_chip, transfers.input_memory[image]
    words = source.words(config.lanes)
    offset = source.address * memory.feature_bytes
    return _transfer(
        Op.LOAD, Buffer.FEATURES, Region.INPUT, place.address, words, offset, memory.feature_bytes
    )


def _stores(works, transfers, image, base, memory, config):
    events = []
    names = [work.name for work in works]
    for index, name in enumerate(transfers.output_names):
        place, target = transfers.output_chip[index], transfers.output_memory[image][index]
        store = _store(place, target, memory, config)
        if name == transfers.input_name:
            events.append((base, INPUT_STORES, store))
        else:
            last = len(names) - 1 - names[::-1].index(name)
            events.append((base + last + 1, STORES, store))
    return events


def _store(place, target, memory, config):
    """A run a row: memory has no gaps. Blocks and passes follow each other like rows."""
    rows = target.passes * block_count(target.channels, config.lanes) * target.height
    size = rows * place.width
    span = Span(Buffer.FEATURES, place.address, place.address + rows * place.pitch)
    if place.pitch == place.width:
        rows = 1
    fields = {
        "op": Op.STORE,
        "region": Region.OUTPUT,
        "buffer": Buffer.FEATURES,
        "address": place.address,
        "words": size // rows,
        "rows": rows,
        "address_step": place.pitch,
        "offset": target.address * memory.feature_bytes,
        "offset_step": place.width * memory.feature_bytes,
    }
    start = fields["offset"]
    written = Span(Region.OUTPUT, start, start + size * memory.feature_bytes)
    return Instruction(op=Op.STORE, fields=fields, reads=(span,), writes=(written,))


def _transfer(op, buffer, region, address, words, offset, word_bytes, tag=0):
    fields = {
        "op": op,
        "region": region,
        "buffer": buffer,
        "address": address,
        "words": words,
        "rows": 1,
        "offset": offset,
        "tag": tag,
    }
    chip = Span(buffer, address, address + words)
    memory = Span(region, offset, offset + words * word_bytes)
    return Instruction(op=op, fields=fields, reads=(memory,), writes=(chip,))
