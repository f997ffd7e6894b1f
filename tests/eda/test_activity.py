import random

import pytest

from hw.spec.config import SvpeConfig
from hw.spec.isa.array_codes import array_integer
from qnn.eda.activity import _count, _toggles, activity

SAIF = r"""
 (INSTANCE activity
  (NET
   (clk (T0 8) (T1 8) (TZ 0) (TX 0) (TB 0) (TC 99))
  )
  (INSTANCE pe
   (NET
    (clk (T0 8) (T1 8) (TZ 0) (TX 0) (TB 0) (TC 8))
    (product_0\[0\] (T0 8) (T1 8) (TZ 0) (TX 0) (TB 0) (TC 3))
    (product_0\[1\] (T0 8) (T1 8) (TZ 0) (TX 0) (TB 0) (TC 4))
    (late_0_1 (T0 8) (T1 8) (TZ 0) (TX 0) (TB 0) (TC 5))
   )
   (INSTANCE net7
    (NET
     (I0 (T0 8) (T1 8) (TZ 0) (TX 0) (TB 0) (TC 50))
"""
MODULE = {
    "netnames": {"product_0": {"bits": [2, 3]}, "late_0_1": {"bits": [4]}, "copy": {"bits": [4]}},
    "cells": {
        "a": {"type": "LUT1", "connections": {"I0": [4], "O": [2]}},
        "c": {"type": "LUT1", "connections": {"I0": [4], "O": [3]}},
        "b": {"type": "FDRE", "connections": {"D": [3], "Q": [4]}},
    },
}


def steps(config, tiles, taps=3):
    rng, half = random.Random(3), 1 << (config.activation_bits - 1)
    return [
        (
            [rng.randrange(-half, half) for _ in range(config.lanes)],
            [rng.getrandbits(config.weight_bits) for _ in range(config.lanes)],
            {
                "enable": 1,
                "shift": int(tap == 0),
                "first": int(tap == 0),
                "last": int(tap == taps - 1),
            },
        )
        for _ in range(tiles)
        for tap in range(taps)
    ]


def sums(config, done, taps=3):
    totals = [
        sum(a * array_integer(w, config) for a, w in zip(*step[:2], strict=True)) for step in done
    ]
    return [sum(totals[n : n + taps]) for n in range(0, len(totals), taps)]


def test_the_elements_own_nets_are_read():
    assert _toggles(SAIF) == {
        ("clk", 0): 8,
        ("product_0", 0): 3,
        ("product_0", 1): 4,
        ("late_0_1", 0): 5,
    }


def test_each_net_counts_once_for_the_cell_that_drives_it():
    assert _count(MODULE, _toggles(SAIF), in_dsp=False) == ({"LUT": 7, "FD": 5}, 1)


def test_registers_of_a_dsp_block_are_the_blocks():
    assert _count(MODULE, _toggles(SAIF), in_dsp=True) == ({"LUT": 7, "DSP": 5}, 0)


@pytest.mark.rtl
@pytest.mark.parametrize(
    "kind", [{}, {"pe": "multiply", "weight_bits": 8}, {"pe": "multiply_lut", "weight_bits": 4}]
)
def test_the_netlist_gives_the_sums_and_toggles_with_its_operands(kind):
    config = SvpeConfig(lanes=2, rows=1, columns=8, **kind)
    done = steps(config, 20)
    found = activity(config, done)
    assert found.sums == sums(config, done)
    assert {"LUT", "CARRY"} < set(found.toggles)
    still = activity(config, [done[0]] * len(done))
    assert sum(still.toggles.values()) < sum(found.toggles.values()) / 4
