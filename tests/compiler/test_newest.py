from hypothesis import given
from hypothesis import strategies as st

from qnn.compiler.newest import NONE, Newest

WORDS = 24
SPANS = st.tuples(st.integers(0, WORDS - 1), st.integers(1, 9)).map(lambda s: (s[0], s[0] + s[1]))


@given(st.lists(SPANS, max_size=20), SPANS)
def test_the_newest_is_that_of_every_word(spans, asked):
    newest, words = Newest(), [NONE] * (2 * WORDS)
    for number, (start, stop) in enumerate(spans):
        newest.set(start, stop, number)
        words[start:stop] = [number] * (stop - start)
        assert newest.of(*asked) == max(words[slice(*asked)])


def test_spans_that_are_set_again_leave_no_more_pieces():
    newest = Newest()
    for number in range(100):
        newest.set(5, 9, number)
        newest.set(9, 12, number)
    assert newest.of(0, 5) == newest.of(12, 99) == NONE
    assert newest.of(8, 20) == 99
    assert newest.pieces == 4
