import gc
import sys

import pytest

from tests.quicker import OBJECTS_BETWEEN_SEARCHES, quicker


def test_garbage_is_searched_for_less_and_not_among_what_is_imported():
    quicker()
    assert gc.isenabled()
    assert gc.get_threshold()[0] == OBJECTS_BETWEEN_SEARCHES
    assert gc.get_freeze_count() > len(sys.modules)


def test_garbage_is_still_found():
    class Node:
        pass

    quicker()
    before = gc.get_stats()[0]["collections"]
    for _ in range(2 * OBJECTS_BETWEEN_SEARCHES):
        node = Node()
        node.itself = node
    assert gc.get_stats()[0]["collections"] > before


def test_the_operators_that_are_kept_are_those_that_torch_finds():
    exported = pytest.importorskip("torch.export.exported_program")
    utils = pytest.importorskip("torch._export.utils")
    quicker()
    kept = exported._collect_all_valid_cia_ops()
    assert len(kept) > 100
    assert kept <= utils._collect_all_valid_cia_ops()
    assert exported._collect_all_valid_cia_ops() is kept
