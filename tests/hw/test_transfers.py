import random

from hypothesis import given, settings
from hypothesis import strategies as st

from hw.runs import RunGenerator
from hw.spec.config import ADDRESS_BITS
from hw.spec.isa.buffers import Region
from hw.walk import Walk
from tests.hw.streams import Receiver, Sender, simulate

TRANSFER = st.fixed_dictionaries(
    {
        "buffer": st.integers(0, 2),
        "address": st.integers(0, 2**ADDRESS_BITS - 1),
        "words": st.integers(1, 9),
        "rows": st.integers(1, 5),
        "address_step": st.integers(0, 2**ADDRESS_BITS - 1),
        "offset": st.integers(0, 2**32 - 1),
        "offset_step": st.integers(0, 2**32 - 1),
        "region": st.sampled_from([int(region) for region in Region]),
    }
)
STALL = st.sampled_from([0.0, 0.5])
BASES = [0, 0x12_0000_0000, 0x3000, 0xFF_0000_0000]
WORD_BEATS = (1, 6, 7)


@settings(max_examples=10)
@given(transfers=st.lists(TRANSFER, min_size=1, max_size=4), idle=STALL, stall=STALL)
def test_the_walk_names_every_word_in_order(transfers, idle, stall):
    dut = Walk()
    fields = ("buffer", "address", "words", "rows", "address_step")
    payloads = [
        {name: transfer[name] for name in fields}
        | {"one_word": transfer["words"] == 1, "one_row": transfer["rows"] == 1}
        for transfer in transfers
    ]
    expected = [
        {
            "buffer": t["buffer"],
            "address": (t["address"] + row * t["address_step"] + n) % 2**ADDRESS_BITS,
            "last": int(row == t["rows"] - 1 and n == t["words"] - 1),
        }
        for t in transfers
        for row in range(t["rows"])
        for n in range(t["words"])
    ]
    receiver = Receiver(dut.o, len(expected), random.Random(1), stall)
    simulate(dut, Sender(dut.i, payloads, random.Random(2), idle), receiver)
    assert [{name: place[name] for name in expected[0]} for place in receiver.got] == expected


@settings(max_examples=10)
@given(transfers=st.lists(TRANSFER, min_size=1, max_size=4), idle=STALL, stall=STALL)
def test_runs_are_the_rows_of_a_transfer(transfers, idle, stall):
    dut = RunGenerator(word_beats=WORD_BEATS)
    expected = [
        {
            "address": (BASES[t["region"]] + t["offset"] + row * t["offset_step"]) % 2**40,
            "beats": t["words"] * WORD_BEATS[t["buffer"]],
            "last": int(row == t["rows"] - 1),
        }
        for t in transfers
        for row in range(t["rows"])
    ]
    receiver = Receiver(dut.o, len(expected), random.Random(1), stall)

    async def bases(ctx):
        ctx.set(dut.bases, BASES)

    sender = Sender(dut.i, transfers, random.Random(2), idle)
    simulate(dut, bases, sender, receiver)
    assert [{name: run[name] for name in expected[0]} for run in receiver.got] == expected
