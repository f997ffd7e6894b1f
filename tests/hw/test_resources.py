from functools import cache

import pytest

from hw.spec.config import CONFIGS
from qnn.eda.synthesis import accelerator_resources, array_resources

pytestmark = pytest.mark.rtl

CONFIG = CONFIGS["test"]
HALF_RAMS_OF_A_PART = 2  # 32 bits wide, and both ports read: two of 18 bits
MEMORIES_OF_A_ROW = 3  # weights, tables and squares
HALF_RAMS_OF_A_BYPASS_WORD = 2  # 64 bits, 36 in each


@cache
def accelerator():
    return accelerator_resources(CONFIG)


def test_the_array_multiplies_without_multipliers():
    array = array_resources(CONFIG)
    assert array.dsp == 0
    assert array.lut > 0
    assert array.bram18 == array.lut_memories == 0


def test_the_accelerator_has_no_multiplier():
    assert accelerator().dsp == 0
    assert accelerator().lut > array_resources(CONFIG).lut


def test_feature_banks_and_memories_of_rows_are_block_ram():
    features = CONFIG.banks * CONFIG.parts * HALF_RAMS_OF_A_PART
    bypass = 2 * HALF_RAMS_OF_A_BYPASS_WORD  # one for each reader
    assert accelerator().bram18 == features + MEMORIES_OF_A_ROW * CONFIG.rows + bypass
