from qnn.eda.timing.sites import FEWEST, columns_beside, distances

SLICES = [("SLICE", 20 + n % 3, 7) for n in range(FEWEST)]  # in columns 20, 21 and 22
BLOCK = ("DSP48E2", 2, 4)  # in row 10 of slices


def test_slices_are_apart_by_what_their_names_say():
    dx, dy = distances([(("SLICE", 5, 9), ("SLICE", 2, 30), {})])
    assert (dx.tolist(), dy.tolist()) == ([3], [21])


def test_a_column_lies_where_the_slices_are_that_nets_join_with_it():
    found = columns_beside([(one, BLOCK) for one in SLICES])
    assert found == {"DSP48E2 2": 21}
    assert columns_beside([(BLOCK, one) for one in SLICES]) == found
    dx, dy = distances([(("SLICE", 26, 12), BLOCK, found), (BLOCK, ("SLICE", 20, 8), found)])
    assert (dx.tolist(), dy.tolist()) == ([5, 1], [2, 2])


def test_a_column_that_few_nets_join_is_nowhere():
    found = columns_beside([(one, BLOCK) for one in SLICES[1:]])
    assert found == {}
    dx, dy = distances([(("SLICE", 26, 12), BLOCK, found)])
    assert (dx.tolist(), dy.tolist()) == ([0], [2])


def test_blocks_of_one_kind_are_apart_in_their_own_columns():
    dx, dy = distances([(BLOCK, ("DSP48E2", 3, 8), {}), (BLOCK, ("RAMB36", 2, 4), {})])
    assert (dx.tolist(), dy.tolist()) == ([1, 0], [10, 10])
