# amaranth: UnusedElaboratable=no
import random

import pytest

from hw.queue import Queue
from tests.hw.streams import Receiver, Sender, simulate


@pytest.mark.parametrize("depth", [2, 5, 8])
@pytest.mark.parametrize(("idle", "stall"), [(0.0, 0.0), (0.0, 0.6), (0.6, 0.0), (0.5, 0.5)])
def test_everything_leaves_in_the_order_in_which_it_came(depth, idle, stall):
    dut = Queue(shape=9, depth=depth)
    sent = [random.Random(depth).getrandbits(9) for _ in range(40)]
    receiver = Receiver(dut.o, len(sent), random.Random(1), stall)
    simulate(dut, Sender(dut.i, sent, random.Random(2), idle), receiver)
    assert receiver.got == sent


def test_holds_its_depth_and_no_more():
    dut = Queue(shape=4, depth=3)
    taken = []

    async def fill(ctx):
        ctx.set(dut.i.valid, 1)
        for _ in range(8):
            taken.append(ctx.get(dut.i.ready))
            await ctx.tick()

    simulate(dut, fill)
    assert taken == [1, 1, 1, 0, 0, 0, 0, 0]


def test_a_queue_that_halves_the_rate_is_refused():
    with pytest.raises(
        ValueError,
        match=r"^Queue needs a depth of at least 2 to pass one payload a cycle, not 1$",
    ):
        Queue(shape=8, depth=1)
