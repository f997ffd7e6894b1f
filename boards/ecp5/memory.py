"""What the board's block RAM holds: the regions of an image, page by page, beside the buffers."""

from typing import TYPE_CHECKING

from boards.ecp5.facts import BLOCK_RAM_BITS, Ecp5Facts
from hw.spec.axi import PAGE_BYTES
from hw.spec.config import SvpeConfig
from hw.spec.image import Image
from hw.spec.serial import digest
from qnn.errors import CompileError
from qnn.runtime.handshake import Bases, start_writes

if TYPE_CHECKING:
    from hw.standalone import Network


def pages(size: int) -> int:
    """Bytes of the whole pages that ``size`` bytes take."""
    return -(-size // PAGE_BYTES) * PAGE_BYTES


def bases(image: Image) -> Bases:
    """The first byte of each region; they follow each other from address 0."""
    # Regions follow each other, each on whole pages, which no burst crosses.
    starts = [0]
    for size in (len(image.payload), image.input_bytes, image.output_bytes):
        starts.append(starts[-1] + pages(size))
    return Bases(*starts)


def memory_bytes(image: Image) -> int:
    """Bytes that all regions take."""
    return bases(image).scratch + pages(image.scratch_bytes)


def network(image: Image) -> "Network":
    """``image`` as an accelerator by itself holds it."""
    from hw.standalone import Network  # with Amaranth, which the rest of this file does without

    where = bases(image)
    return Network(
        config=image.config,
        content=image.payload,
        size=memory_bytes(image),
        input=(where.input, image.input_bytes),
        output=(where.output, image.output_bytes),
        starts=start_writes(image, where, 0),
        digest=digest(image.payload),
    )


def check_buffers(facts: Ecp5Facts, config: SvpeConfig) -> None:
    """Refuse a core whose buffers the board's block RAM cannot hold.

    Raises
    ------
    CompileError
        The text has the numbers.
    """
    # The buffers alone may be too large; how large the network is comes later.
    needed, most = buffer_rams(config), facts.device.bram18
    if needed > most:
        raise CompileError(
            f"{facts.name}: the buffers of {config} need about {needed} block RAMs, but an "
            f"{facts.chip} has {most}; choose a smaller --config, or --set feature_words"
        )


def check_memory(facts: Ecp5Facts, image: Image) -> None:
    """Refuse a network that the block RAM cannot hold beside the core's buffers.

    Raises
    ------
    CompileError
        The text has the numbers.
    """
    buffers, memory, most = buffer_rams(image.config), memory_rams(image), facts.device.bram18
    if buffers + memory > most:
        raise CompileError(
            f"{facts.name}: the network's {memory_bytes(image):,} bytes take {memory} block RAMs "
            f"and the buffers of {image.config} about {buffers}, but an {facts.chip} has {most}; "
            f"choose a smaller network or --config, or --set feature_words"
        )


def memory_rams(image: Image) -> int:
    """DP16KD of the memory: a byte has nine bits there."""
    config = image.config
    # Byte enables need 9-bit lanes: eight bits of each are used.
    return _blocks(config.bus_bits * 9 // 8, memory_bytes(image) * 8 // config.bus_bits, 36)


def buffer_rams(config: SvpeConfig) -> int:
    """About how many DP16KD the core's buffers take.

    Source
    ------
    Yosys 0.70, ``techlibs/lattice/brams_16kd.txt``: 1,024 x 18 bits with two ports that read and
    write, 512 x 36 bits with one of each.
    """
    bank_words = config.feature_words // config.banks
    # True dual-port banks have at most 18 bits; simple ones, with a port each way, 36.
    features = config.banks * _blocks(config.feature_bits, bank_words, 18)
    weights = config.rows * _blocks(config.lanes * config.weight_bits, config.weight_words, 36)
    parameters = config.rows * _blocks(config.parameter_bits, config.parameter_words, 36)
    tables = config.rows * _blocks(config.activation_bits, config.table_words, 18)
    squares = _blocks(config.square_bits, config.square_words, 18)  # both ports read
    products = config.rows * config.multiplies * squares
    return features + weights + parameters + tables + products


def _blocks(bits, words, width):
    """Blocks of ``width`` bits side by side, and one after the other."""
    return -(-bits // width) * -(-words // (BLOCK_RAM_BITS // width))
