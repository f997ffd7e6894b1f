"""Precision against cost: its numbers by brute force, its table from fixed counts, its winners."""

import json
import math
from dataclasses import replace
from itertools import product
from pathlib import Path

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from hw.spec.isa import codes
from qnn.bench import array, precision
from tests.bench.test_array import row

ROOT = Path(__file__).resolve().parents[2]
EXPONENTS = range(-14, 6)


def small_weights():
    return torch.randn(3, 6, generator=torch.Generator().manual_seed(7), dtype=torch.float64)


def by_brute_force(w, levels):
    """Signal to noise if each channel may have any of many scales, and each weight any level."""
    noise = 0.0
    for channel in w.tolist():
        noise += min(
            sum(min((v - level * 2.0**e) ** 2 for level in levels) for v in channel)
            for e in EXPONENTS
        )
    return 10 * math.log10(sum(v * v for channel in w.tolist() for v in channel) / noise)


@pytest.mark.parametrize(("bits", "terms"), list(product((2, 3, 4), (1, 2))))
def test_noise_of_terms_is_the_least_of_all_codes_and_scales(bits, terms):
    most, shift = codes.most_index(bits), codes.term_shift(bits)
    integers = [codes.integer(index) for index in range(-most, most + 1)]
    levels = {
        sum(value << (shift * place) for place, value in enumerate(values))
        for values in product(integers, repeat=terms)
    }
    found = precision.shift_snr_db(small_weights(), bits, terms)
    assert found == pytest.approx(by_brute_force(small_weights(), levels), abs=1e-9)


@pytest.mark.parametrize("bits", [3, 4, 5, 8])
def test_noise_of_multipliers_is_the_least_of_all_integers_and_scales(bits):
    levels = range(-(1 << (bits - 1)), 1 << (bits - 1))
    found = precision.uniform_snr_db(small_weights(), bits)
    assert found == pytest.approx(by_brute_force(small_weights(), levels), abs=1e-9)


def test_more_bits_and_more_terms_have_no_more_noise():
    w = precision.gaussian_weights()
    assert w.shape == (64, 1024)
    uniform = [precision.uniform_snr_db(w, bits) for bits in range(3, 9)]
    assert uniform == sorted(uniform)
    for bits in (2, 3, 4, 5):
        terms = [precision.shift_snr_db(w, bits, terms) for terms in (1, 2, 3, 4)]
        assert terms == sorted(terms)


@pytest.fixture(scope="module")
def rows():
    return precision.table([row(config) for config in array.configs()])


def test_the_table_from_fixed_counts(rows, golden):
    lines = [precision.TITLE, " | ".join(precision.HEADER)]
    lines += [" | ".join(texts) for texts in precision.cells(rows)]
    lines += precision.findings(rows)
    golden("precision.txt", "\n".join([*lines, ""]))


def test_a_row_has_the_luts_of_the_accumulator_that_its_terms_need():
    counted = [row(config) for config in array.configs()]
    # As if a lane took a LUT for each bit of its accumulator.
    counted = [replace(r, lut_per_lane=float(r.accumulator_bits)) for r in counted]
    found = {(r.kind, r.bits, r.terms): r.lut for r in precision.table(counted)}
    assert [found["shift", 3, terms] for terms in (1, 2, 3, 4)] == [24, 32, 32, 32]
    assert [found["shift", 4, terms] for terms in (1, 2, 3, 4)] == [32, 32, 32, 40]
    assert found["multiply_lut", 8, 1] == 32


COSTS = st.lists(
    st.tuples(st.integers(1, 20).map(float), st.integers(1, 20).map(float)), min_size=1, max_size=12
)


@given(COSTS)
def test_the_best_have_no_other_of_as_many_db_for_less(costs):
    best = [one for one in costs if precision.is_best(one, costs)]
    for cost, snr_db in best:
        assert not [o for o in costs if o[1] >= snr_db and o[0] < cost]
        assert not [o for o in costs if o[1] > snr_db and o[0] <= cost]
    # Whatever precision is asked for, the cheapest that has it is among the best.
    for _, wanted in costs:
        cheapest = min(cost for cost, snr_db in costs if snr_db >= wanted)
        assert cheapest in [cost for cost, snr_db in best if snr_db >= wanted]


def test_kept_results_are_marked_by_their_own_numbers():
    kept = json.loads((ROOT / "results/array.json").read_text())["precision"]["rows"]
    costs = [(r["lut_steps"], r["snr_db"]) for r in kept]
    assert [r["best"] for r in kept] == [precision.is_best(one, costs) for one in costs]
    assert [(r["kind"], r["bits"], r["terms"]) for r in kept] == list(precision.SCHEMES)
    assert [r["lut"] * r["steps"] for r in kept] == [r["lut_steps"] for r in kept]


def test_the_page_of_results_shows_the_kept_ones():
    kept = json.loads((ROOT / "results/array.json").read_text())["precision"]["rows"]
    page = (ROOT / "docs/results.md").read_text()
    for texts in precision.cells([precision.Row(**fields) for fields in kept]):
        assert f"| {' | '.join(texts)} |" in page
