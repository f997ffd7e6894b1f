from hypothesis import given
from hypothesis import strategies as st

from qnn.compiler.allocate import ORDERS, BufferRequest, Placement, Requests, best_gap


def request(name, words, first, last):
    return BufferRequest(name, words, ((first, last),))


def test_words_are_used_again_after_the_last_read():
    requests = [request("a", 60, 0, 1), request("b", 40, 1, 2), request("c", 60, 2, 3)]
    assert Requests(requests).allocate(100) == {"a": 0, "b": 60, "c": 0}


def test_addresses_are_given_by_size_then_by_time_then_by_area():
    short, long, early = request("c", 5, 1, 1), request("b", 4, 1, 2), request("a", 3, 0, 0)
    orders = [sorted((early, long, short), key=key) for key in ORDERS]
    assert orders == [[short, long, early], [early, short, long], [long, short, early]]
    # What is equal in size goes by time, and then by name.
    equal = [request("b", 4, 1, 1), request("a", 4, 1, 1), request("c", 4, 0, 0)]
    for key in ORDERS:
        assert [each.name for each in sorted(equal, key=key)] == ["c", "a", "b"]


def test_what_does_not_fit_is_none():
    requests = [request("a", 60, 0, 1), request("b", 41, 1, 2)]
    assert Requests(requests).allocate(100) is None


def test_the_smallest_gap_is_taken():
    requests = [
        request("left", 50, 0, 9),
        request("small", 10, 0, 9),
        request("big", 30, 0, 3),
        request("late", 9, 5, 9),
    ]
    addresses = Requests(requests).allocate(100)
    assert addresses == {"left": 0, "big": 50, "small": 80, "late": 90}


@given(
    st.lists(
        st.tuples(st.integers(1, 40), st.integers(0, 9), st.integers(0, 5)), min_size=1, max_size=12
    )
)
def test_tensors_that_live_together_share_no_word(items):
    requests = [request(str(i), w, first, first + n) for i, (w, first, n) in enumerate(items)]
    addresses = Requests(requests).allocate(200)
    if addresses is None:
        assert sum(r.words for r in requests) > 100
        return
    for a in requests:
        assert 0 <= addresses[a.name] <= 200 - a.words
        for b in requests:
            if a.name < b.name and a.meets(b):
                start, other = addresses[a.name], addresses[b.name]
                assert start + a.words <= other or other + b.words <= start


def test_a_life_that_reaches_the_next_image_leaves_the_middle_free():
    around = BufferRequest("around", 60, ((0, 0), (3, 3)))
    assert around.steps == (0, 3)
    requests = Requests([around, request("middle", 60, 1, 2), request("late", 40, 2, 3)])
    addresses = requests.allocate(100)
    assert addresses == {"around": 0, "middle": 0, "late": 60}


def test_the_best_gap_is_found_among_those_that_live_at_the_same_time():
    placed = Placement()
    for life, address in ((("a", 40, 0, 3), 0), (("b", 10, 0, 0), 45), (("c", 9, 5, 5), 40)):
        placed.put(request(*life), address)
    assert best_gap(request("new", 5, 0, 5), placed, 100) == 55  # behind a, b and c
    assert best_gap(request("new", 5, 0, 4), placed, 100) == 40  # between a and b
    assert best_gap(request("new", 5, 5, 5), placed, 100) == 0
    assert best_gap(request("new", 61, 0, 4), placed, 100) is None


def test_what_is_removed_leaves_its_words():
    placed = Placement()
    placed.put(request("a", 60, 0, 2), 0)
    placed.put(request("b", 30, 2, 3), 60)
    assert placed.busy(request("new", 1, 1, 2)) == [(0, 60), (60, 90)]
    placed.remove(request("a", 60, 0, 2))
    assert placed.busy(request("new", 1, 0, 9)) == [(60, 90)]


@given(
    st.lists(
        st.tuples(st.integers(1, 40), st.integers(0, 9), st.integers(0, 5)), min_size=1, max_size=12
    ),
    st.integers(1, 40),
)
def test_requests_with_another_are_those_requests(items, words):
    requests = [request(str(i), w, first, first + n) for i, (w, first, n) in enumerate(items)]
    other = request("0", words, 2, 7)
    changed = Requests(requests).with_other(requests[0], other)
    assert changed.allocate(100) == Requests([other, *requests[1:]]).allocate(100)


def test_a_life_leaves_room_only_where_in_every_step_its_words_are_free():
    placed = Placement()
    placed.put(request("a", 60, 0, 2), 0)
    placed.put(request("b", 30, 2, 3), 60)
    assert placed.leaves(request("new", 10, 0, 9), 100)
    assert not placed.leaves(request("new", 11, 0, 9), 100)
    placed.remove(request("b", 30, 2, 3))
    assert placed.leaves(request("new", 40, 0, 9), 100)
