"""Latencies in cycles of computation, loads and stores: hardware keeps them, RTL tests assert them.

The cycle model computes with them. Those of computation come first. With T the cycle in which the
newest tile's last step issued, ``interval`` and ``late`` of its instruction,
``drain(t) = max(0, T + write_latency + late + interval - t)``. An instruction starts at the first
cycle t with ``drain(t) <= fence`` that also is

* at least ``ISSUE_LATENCY`` after the cycle in which it was offered with its tokens,
* at least ``INSTRUCTION_GAP`` after the previous instruction's last step, and
* at least ``INSTRUCTION_LEAST`` after the previous instruction's start.

Writes come ``late`` cycles later where a result goes through a table. A less late instruction must
not write before, or while, a later one before it does. Its first write is in cycle
``t + steps - 1 + write_latency + late`` at the earliest, and the other's last write before cycle
``t + drain(t)``. So a fence of at most ``write_latency + late + steps - 1`` keeps their order
(``hw.spec.isa.tiles.Tiles.order_fence``). As late ones keep it anyway, by their intervals.
Results must not meet where they enter the epilogue either, which is ``TABLE_STAGES`` earlier for
one that goes through a table than its write says. A sum enters it ``PRODUCT_STAGES`` earlier than
a product that was issued with it.

From then on it issues one step per cycle, except that a tile's last step waits until ``interval``
cycles (of the previous tile's instruction) have passed since the previous tile's last step.

Those of the memory side are at the end of the file. On an idle bus, a load of n beats in one row
that is taken in cycle t ends in cycle ``t + LOAD_ADDRESS_LATENCY + L + n - 1 + LOAD_WORD_LATENCY``,
where the memory gives a beat per cycle, the first one L cycles after its address.
"""

from hw.spec.config import SvpeConfig

ISSUE_LATENCY = 4  # from an instruction offered to an idle sequencer to its start
INSTRUCTION_GAP = 2  # from the last step of an instruction to the start of the next
FENCED_GAP = 1  # what fences count on, no more than that: images suit hardware of a shorter gap
INSTRUCTION_LEAST = 3  # from the start of an instruction to the start of the next
FINISH_LATENCY = 1  # from an instruction's last write to its `finished` pulse, with the signals
SIDES_LEAD = 2  # from the news that results are written to a side of the features to their write
RESULT_STAGES = 2  # from a sum's end of the array to its row's epilogue: into a memory, and out
REQUEST_STAGES = 1  # from a store request to the feature banks, if they take it at once
STORE_LATENCY = 5 + REQUEST_STAGES  # from such a request to its data
BANK_STAGES = 2  # a feature bank's memory and its output register
EPILOGUE_STAGES = 10  # from a sum to the value that is stored
PRODUCT_STAGES = 4  # from two factors to their product, where a sum would be
TABLE_STAGES = 2  # from an index to its table's entry: a memory and its output register


def tree_triples(terms: int) -> int:
    """Adders of three terms in a level that has ``terms`` of them; the others wait a cycle.

    Two terms are left in the end, which enter the accumulator.
    """
    return min(terms // 3, (terms - 1) // 2)


def tree_levels(config: SvpeConfig) -> int:
    """Adder levels of one processing element, a register after each."""
    terms, levels = product_terms(config), 0
    while terms > 2:
        terms, levels = terms - 2 * tree_triples(terms), levels + 1
    return levels


def product_terms(config: SvpeConfig) -> int:
    """Terms of the adder tree: with many shifts, products are added to their neighbours' first."""
    return config.lanes // 2 if config.pe == "shift" and config.weight_bits > 3 else config.lanes


def product_stages(config: SvpeConfig) -> int:
    """Registers from a processing element's operands to the terms of its tree."""
    if config.pe == "multiply":
        return 2
    if config.pe == "multiply_lut":
        return (config.weight_bits + 1) // 2  # a row of Booth's digits each
    return {2: 1, 3: 1, 4: 3, 5: 4}[config.weight_bits]


def column_stages(config: SvpeConfig) -> int:
    """Adders on the way from column 0's address to the last column's."""
    return (config.columns - 1).bit_length()


def read_latency(config: SvpeConfig) -> int:
    """From a step's issue to the cycle in which the feature banks read its words."""
    return 8 + column_stages(config)


def crossbar_stages(config: SvpeConfig) -> int:
    """Registers from the banks' words to a column's: one of four, then any of six at each."""
    return 2 if config.banks <= 16 else 3


def edge_latency(config: SvpeConfig) -> int:
    """From a step's issue to the last column's word at the array's edge; the others come later."""
    return read_latency(config) + BANK_STAGES + crossbar_stages(config)


def hold_latency(config: SvpeConfig) -> int:
    """From a tile's last step to the array's sum of row 0, column 0.

    Those of row r and column c come ``r + c // epilogue_words`` later.
    """
    own = 3 + product_stages(config) + tree_levels(config)
    return edge_latency(config) + config.turns - 1 + own


def sum_latency(config: SvpeConfig) -> int:
    """From a tile's last step to column 0's sum at row 0's epilogue."""
    return hold_latency(config) + RESULT_STAGES


def write_latency(config: SvpeConfig) -> int:
    """From the cycle a tile's last step issues to its first write at the buffer's port.

    Pass p of column c is written ``p * turns + c // epilogue_words`` cycles later, where ``turns``
    is what ``hw.spec.isa.tiles.Tiles.turns`` says of its instruction.
    """
    return sum_latency(config) + EPILOGUE_STAGES + config.rows


def bypass_depth(config: SvpeConfig) -> int:
    """Words of the bypass of each column of a turn: those of tiles begun and not written."""
    in_flight = write_latency(config) - edge_latency(config) + 3 * config.turns
    return 1 << in_flight.bit_length()


def dependent_fence(config: SvpeConfig) -> int:
    """The largest ``fence`` with which an instruction still reads all that was written before."""
    return read_latency(config) - 1


# The memory side (RTL: hw/shell.py and what it connects).

MAX_BURST_BEATS = 64  # of load and store; bursts end at multiples of it
READS_OUTSTANDING = 8  # bursts of the load engine, and as many of the fetch
WRITES_OUTSTANDING = 4  # bursts of the store engine
TRANSFERS_IN_FLIGHT = 4  # instructions that the load or store engine has taken and not finished
QUEUE_DEPTH = 8  # instructions that wait before each engine
FETCH_BURST_BEATS = 16
FETCH_BUFFER_BEATS = 64  # the fetch asks for no more than it has room for
STORE_BUFFER_WORDS = 16  # feature words between buffer and write channel
LOAD_BUFFER_BEATS = 16  # beats between bus and words: as many are taken while a word waits

FETCH_LATENCY = 6  # from START, a cycle after its write, to the program's first burst on AR
FETCH_GAP = 3  # from a burst of the fetch to its next one, at least
FETCH_ROOM_LATENCY = 2  # from an instruction that leaves the fetch to a burst that takes its place
DISPATCH_LATENCY = 4  # from an instruction's last beat to its offer to an idle engine
DISPATCH_GAP = 1  # beside an instruction's beats, from one that is dispatched to the next
TOKEN_LATENCY = 2  # from an engine's end of an instruction to the offer of one that waited for it
LOAD_ADDRESS_LATENCY = 5  # from a taken instruction to its first burst on AR
LOAD_BEAT_LATENCY = 2  # from a beat on the bus to its word's register, where that is free
LOAD_WORD_LATENCY = 3  # from a word's last beat to its offer to the buffer; the last ends the load
LOAD_ROOM_LATENCY = 2  # from a beat that leaves the load's buffer to the one that takes its place
READ_REUSE_LATENCY = 3  # from a burst's last beat to the address of the one that takes its place
STORE_ADDRESS_LATENCY = 5  # from a taken instruction to its first burst on AW
STORE_BEAT_LATENCY = 6 + STORE_LATENCY  # from a taken instruction to its first beat on W
WRITE_REUSE_LATENCY = 2  # from a burst's response to the address of the one that takes its place
# A store ends in the cycle of its last burst's response.
BURST_GAP = 2  # from a burst of a transfer, whichever it is, to the one behind it, at least
END_LATENCY = 3  # from the end of the last instruction, or of END's fetch, to DONE
