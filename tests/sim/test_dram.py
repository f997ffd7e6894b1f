import numpy as np
import pytest

from hw.spec.config import named_config
from sim import dram
from tests.sim.copy_image import copy_image

IMAGE = copy_image(named_config("test"))
INPUTS = np.arange(2 * IMAGE.input_bytes).reshape(2, -1).astype(np.uint8)


def test_regions_are_pages_apart_and_hold_what_was_given():
    memory = dram.place(IMAGE, INPUTS)
    names = [region.name for region in memory.regions]
    assert names == ["image", "scratch", "input 0", "output 0", "input 1", "output 1"]
    ends = [0, *(region.end for region in memory.regions)]
    starts = [*(region.start for region in memory.regions), len(memory.content)]
    assert all(start > end for start, end in zip(starts, ends, strict=True))  # a guard between
    assert all(region.start % dram.PAGE_BYTES == 0 for region in memory.regions)
    bases = memory.bases(1)
    assert bases.input - dram.BASE == memory.regions[4].start
    start = bases.image - dram.BASE
    assert memory.content[start : start + len(IMAGE.payload)].tobytes() == IMAGE.payload
    start = bases.input - dram.BASE
    np.testing.assert_array_equal(memory.content[start : start + IMAGE.input_bytes], INPUTS[1])


@pytest.mark.parametrize("region", range(6))
def test_a_byte_beside_any_region_is_guarded(region):
    memory = dram.place(IMAGE, INPUTS)
    for place in (memory.regions[region].start - 1, memory.regions[region].end):
        after = memory.content.copy()
        after[place] ^= 1
        assert f"the first at address {dram.BASE + place:#x}, " in memory.disturbance(after)


def test_outputs_may_change_and_inputs_may_not():
    memory = dram.place(IMAGE, INPUTS)
    after = memory.content.copy()
    memory.output(after, 1)[:] = 7
    assert memory.disturbance(after) is None
    assert (memory.output(after, 1) == 7).all()
    after[memory.regions[2].start] ^= 1
    start = (
        "1 bytes outside the writable regions changed, the first at address 0x1234003000, 0 bytes "
        "from the start of 'input 0' (240 bytes); "
    )
    for stores, end in (
        (None, "a store instruction is wrong, or something else changed the memory"),
        (
            [(0x1234002FF8, 8), (0x1234003008, 8)],
            "the accelerator did not write there: something else changed the memory",
        ),
        ([(0x1234002FF8, 16)], "the accelerator wrote there: a store instruction is wrong"),
    ):
        assert memory.disturbance(after, stores) == start + end


@pytest.mark.parametrize(
    ("rate", "cycles"),
    [
        (16, [0, 1, 2, 3, 4, 5]),
        (12, [0, 1, 2, 4, 5, 6]),
        (8, [0, 2, 4, 6, 8, 10]),
        (5, [0, 3, 6, 9, 12, 16]),
    ],
)
def test_beats_keep_to_the_rate(rate, cycles):
    assert dram.Channel(16, rate).send(0, 6) == cycles


def test_a_channel_that_was_idle_owes_nothing():
    channel = dram.Channel(16, 4)
    assert channel.send(3, 2) == [3, 7]
    assert channel.free == 11
    assert channel.send(5, 1) == [11]
    assert channel.send(40, 2) == [40, 44]


@pytest.mark.parametrize("rate", [0, 17])
def test_a_rate_that_the_bus_cannot_have_is_refused(rate):
    with pytest.raises(
        ValueError,
        match=rf"^a memory with beats of 16 bytes needs a rate of 1 to 16 bytes a cycle, not "
        rf"{rate}$",
    ):
        dram.Channel(16, rate)
