"""The state of a run that is the same for every input: weights, and which words are written."""

import numpy as np

from hw.spec.image import Image
from hw.spec.isa import access
from hw.spec.isa.buffers import Buffer
from hw.spec.isa.encoding import Instruction
from hw.spec.isa.header import Engine
from hw.spec.isa.tiles import Tiles
from hw.spec.isa.transfer import Transfer
from qnn.errors import DeviceError
from sim.footprint import Write

BUFFERS = {
    Buffer.FEATURES: "the feature buffer",
    Buffer.WEIGHTS: "the weight buffer",
    Buffer.PARAMETERS: "the parameter buffer",
    Buffer.TABLES: "the tables",
}


class Machine:
    """The state that instructions have left; ``index`` numbers the one that is looked at."""

    def __init__(self, image: Image):
        config = image.config
        self.image, self.config, self.index = image, config, 0
        self.layer: str | None = None  # that the instruction computes, or moves data for
        # By tag, for who asks what a layer wrote.
        self.writes: dict[int, list[Write]] = {}
        self.payload = np.frombuffer(image.payload, np.uint8)
        # By lane, because a group of channels fills a part of a word.
        self.written = np.zeros((config.feature_words, config.lanes), bool)
        scratch_words = image.scratch_bytes // Buffer.FEATURES.word_bytes(config)
        self.scratch_written = np.zeros((scratch_words, config.lanes), bool)
        self.weights = np.zeros((config.weight_words, config.rows, config.lanes), np.int64)
        self.weights_loaded = np.zeros(config.weight_words, bool)
        self.parameters: dict[int, np.ndarray] = {}  # (4, rows): bias, left, skip_left, right
        self.tables = np.zeros((config.table_words, config.rows), np.int16)
        self.tables_loaded = np.zeros(config.table_words, bool)
        self.newest: Tiles | None = None  # computation, before this one
        self.counts: dict[tuple[Engine, Engine], int] = {}

    def require(self, condition: bool, why: str) -> None:
        """Return if the condition holds; else raise what is wrong with the instruction."""
        if not condition:
            # Only the layer says something to a user.
            whose = f" of layer '{self.layer}'" if self.layer else ""
            raise DeviceError(f"instruction {self.index}{whose} {why}; compile the model again")

    def begin(self, index: int, instruction: Instruction) -> None:
        """Look at the instruction with this number in the program."""
        layers, self.index = self.image.layers, index
        self.layer = layers[instruction.tag].name if instruction.tag < len(layers) else None

    def write(self, tag: int, words: np.ndarray, lanes: slice) -> None:
        """Note that an instruction with ``tag`` writes these lanes of these words."""
        self.writes.setdefault(tag, []).append((words, lanes))

    def tokens(self, instruction: Instruction) -> None:
        """Take the tokens that it waits for, and give those that it signals."""
        engine = instruction.engine
        for other in sorted(instruction.waits):
            # Program order is serial here: a token that is not there now never comes.
            left = self.counts.get((other, engine), 0)
            self.require(left, f"waits for a token from {other.word} that never comes")
            self.counts[other, engine] = left - 1
        for other in instruction.signals:
            self.counts[engine, other] = self.counts.get((engine, other), 0) + 1

    def order(self, tiles: Tiles) -> None:
        """Return if the writes of the computation come after those of the one before it."""
        before, self.newest = self.newest, tiles
        late = before is not None and tiles.fence > tiles.order_fence(before, self.config)
        self.require(not late, "writes before, or while, an earlier one does")

    def inside(self, words: np.ndarray, size: int, what: str) -> None:
        """Return if all of ``words`` are less than the ``size`` of ``what``."""
        self.require(words.size and words.max() < size, f"leaves {what} of {size}")

    def all_written(self, tags: list[int], last: dict[int, int]) -> None:
        """Return if every tag has a last instruction."""
        missing = [self.image.layers[tag].name for tag in tags if tag not in last]
        if missing:
            self.layer = missing[0]
            raise DeviceError(f"no instruction computes '{self.layer}'; compile the model again")

    def transfer(self, transfer: Transfer) -> tuple[np.ndarray, np.ndarray]:
        """Buffer words (words,) and their bytes in memory (words, bytes of a word)."""
        buffer, region = transfer.buffer, transfer.region
        starts = access.memory_bytes(transfer, self.config).reshape(-1, 1)
        places = starts + np.arange(buffer.word_bytes(self.config))
        size = self.image.region_bytes(region)
        self.inside(places, size, f"region {region.name} of bytes")
        chip = access.chip_words(transfer).reshape(-1)
        self.inside(chip, buffer.words(self.config), BUFFERS[buffer])
        return chip, places
