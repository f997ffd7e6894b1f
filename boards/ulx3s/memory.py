"""What the board's block RAM holds: the regions of an image, page by page."""

from boards.ulx3s.facts import BLOCK_RAM_BITS
from hw.spec.axi import PAGE_BYTES
from hw.spec.config import SvpeConfig
from hw.spec.image import Image
from hw.spec.serial import digest
from hw.standalone import Network
from qnn.runtime.handshake import Bases, start_writes


def pages(size: int) -> int:
    """Bytes of the whole pages that ``size`` bytes take."""
    return -(-size // PAGE_BYTES) * PAGE_BYTES


def bases(image: Image) -> Bases:
    """Where the regions begin, one after the other from address 0."""
    starts = [0]
    for size in (len(image.payload), image.input_bytes, image.output_bytes):
        starts.append(starts[-1] + pages(size))
    return Bases(*starts)


def memory_bytes(image: Image) -> int:
    """Bytes that all regions take."""
    return bases(image).scratch + pages(image.scratch_bytes)


def network(image: Image) -> Network:
    """``image`` as an accelerator by itself holds it."""
    where = bases(image)
    return Network(
        config=image.config,
        content=image.payload,
        size=memory_bytes(image),
        input=(where.input, image.input_bytes),
        output=(where.output, image.output_bytes),
        starts=start_writes(image, where),
        digest=digest(image.payload),
    )


def memory_rams(image: Image) -> int:
    """DP16KD of the memory: a byte has nine bits there."""
    config = image.config
    return _blocks(config.bus_bits * 9 // 8, memory_bytes(image) * 8 // config.bus_bits, 36)


def buffer_rams(config: SvpeConfig) -> int:
    """About how many DP16KD the core's buffers take.

    Source
    ------
    Yosys 0.70, ``techlibs/lattice/brams_16kd.txt``: 1,024 x 18 bits with two ports that read and
    write, 512 x 36 bits with one of each.
    """
    bank_words = config.feature_words // config.banks
    features = config.banks * _blocks(config.feature_bits, bank_words, 18)
    weights = config.rows * _blocks(config.lanes * config.weight_bits, config.weight_words, 36)
    parameters = config.rows * _blocks(config.parameter_bits, config.parameter_words, 36)
    return features + weights + parameters


def _blocks(bits, words, width):
    """Blocks of ``width`` bits side by side, and one after the other."""
    return -(-bits // width) * -(-words // (BLOCK_RAM_BITS // width))
