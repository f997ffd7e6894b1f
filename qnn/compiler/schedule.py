"""The program in an order that is right when executed one instruction after the other."""

from dataclasses import dataclass, replace

from hw.spec.config import SvpeConfig
from hw.spec.image import TensorLayout
from hw.spec.isa.buffers import Buffer, Region
from hw.spec.isa.encoding import Instruction
from hw.spec.isa.end import End
from hw.spec.isa.header import Op
from hw.spec.isa.transfer import Transfer
from qnn.compiler.lower import Work
from qnn.compiler.residency import Chunk, chunks, overlap, resident
from qnn.compiler.segments import block_count

# Phases of what stands before the same compute instruction.
FIRST_WEIGHTS, STORES, INPUTS, INPUT_STORES, WEIGHTS, COMPUTE = range(6)


@dataclass(frozen=True, kw_only=True)
class Memory:
    """Where the payload keeps what is loaded: byte offsets by work."""

    weight_offsets: list[int]
    parameter_offsets: list[int]


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
        events.append((at, INPUTS, _load_input(transfers, image, config)))
        events += _stores(works, transfers, image, base, config)
    events += _load_chunks(parts, works, memory, tags, config)
    ordered = sorted(events, key=lambda event: event[:2])  # stable: else as they were added
    return [*(event[2] for event in ordered), End()]


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
    if not work.parameters:
        return replace(work.instruction, tag=tag)
    return replace(work.instruction, tag=tag, weight_address=weight, parameter_address=parameter)


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
        (
            Buffer.PARAMETERS,
            chunk.parameter_address,
            chunk.parameters,
            memory.parameter_offsets[chunk.first],
        ),
        (Buffer.WEIGHTS, chunk.weight_address, chunk.weights, memory.weight_offsets[chunk.first]),
    )
    return [
        Transfer(
            op=Op.LOAD,
            region=Region.IMAGE,
            buffer=buffer,
            address=address,
            words=words,
            offset=offset,
            tag=tag,
        )
        for buffer, address, words, offset in plans
        if words
    ]


def _load_input(transfers, image, config):
    place, source = transfers.input_chip, transfers.input_memory[image]
    return Transfer(
        op=Op.LOAD,
        region=Region.INPUT,
        buffer=Buffer.FEATURES,
        address=place.address,
        words=source.words(config.lanes),
        offset=source.address * Buffer.FEATURES.word_bytes(config),
    )


def _stores(works, transfers, image, base, config):
    events = []
    names = [work.name for work in works]
    for index, name in enumerate(transfers.output_names):
        place, target = transfers.output_chip[index], transfers.output_memory[image][index]
        store = _store(place, target, config)
        if name == transfers.input_name:
            events.append((base, INPUT_STORES, store))
        else:
            last = len(names) - 1 - names[::-1].index(name)
            events.append((base + last + 1, STORES, store))
    return events


def _store(place, target, config):
    """A run a row: memory has no gaps. Blocks and passes follow each other like rows."""
    rows = target.passes * block_count(target.channels, config.lanes) * target.height
    size = rows * place.width
    if place.pitch == place.width:
        rows = 1
    word_bytes = Buffer.FEATURES.word_bytes(config)
    return Transfer(
        op=Op.STORE,
        region=Region.OUTPUT,
        buffer=Buffer.FEATURES,
        address=place.address,
        words=size // rows,
        rows=rows,
        address_step=place.pitch,
        offset=target.address * word_bytes,
        offset_step=place.width * word_bytes,
    )
