from hypothesis import given
from hypothesis import strategies as st

from qnn.compiler.allocate import Request, allocate


def request(name, words, first, last):
    return Request(name, words, first, last)


def test_words_are_used_again_after_the_last_read():
    requests = [request("a", 60, 0, 1), request("b", 40, 1, 2), request("c", 60, 2, 3)]
    assert allocate(requests, 100) == {"a": 0, "b": 60, "c": 0}


def test_what_does_not_fit_is_none():
    requests = [request("a", 60, 0, 1), request("b", 41, 1, 2)]
    assert allocate(requests, 100) is None


def test_the_smallest_gap_is_taken():
    requests = [
        request("left", 50, 0, 9),
        request("small", 10, 0, 9),
        request("big", 30, 0, 3),
        request("late", 9, 5, 9),
    ]
    addresses = allocate(requests, 100)
    assert addresses == {"left": 0, "big": 50, "small": 80, "late": 90}


@given(
    st.lists(
        st.tuples(st.integers(1, 40), st.integers(0, 9), st.integers(0, 5)), min_size=1, max_size=12
    )
)
def test_tensors_that_live_together_share_no_word(items):
    requests = [request(str(i), w, first, first + n) for i, (w, first, n) in enumerate(items)]
    addresses = allocate(requests, 200)
    if addresses is None:
        assert sum(r.words for r in requests) > 100
        return
    for a in requests:
        assert 0 <= addresses[a.name] <= 200 - a.words
        for b in requests:
            if a.name < b.name and a.first <= b.last and b.first <= a.last:
                start, other = addresses[a.name], addresses[b.name]
                assert start + a.words <= other or other + b.words <= start
