"""What parts of a network lose with more terms than were measured."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from qnn.ptq.auto.parts import NEXT_TERM, extended

LOSS = st.integers(0, 1000).map(float)


@given(st.dictionaries(st.sampled_from("abc"), st.tuples(LOSS, LOSS), min_size=1))
def test_terms_that_were_not_measured_each_bring_as_much(found):
    losses = {name: {1: one, 2: two} for name, (one, two) in found.items()}
    bits = {name: 2 + ord(name) - ord("a") for name in losses}
    for name, whole in extended(losses, bits).items():
        assert list(whole) == list(range(1, 8 if bits[name] == 2 else 5))
        assert (whole[1], whole[2]) == found[name]
        for k in list(whole)[2:]:
            assert whole[k] == pytest.approx(whole[k - 1] / NEXT_TERM)
