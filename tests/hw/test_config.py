from itertools import product

import pytest

from hw.spec.config import SvpeConfig
from hw.spec.isa.array_codes import array_integer
from hw.spec.widths import LONGEST_SUM, accumulator_bits

KINDS = [
    *product(("shift",), (2, 3, 4, 5), (4, 8, 16)),
    *product(("multiply",), (2, 4, 8, 16), (4, 8, 16)),
]


@pytest.mark.parametrize(("pe", "weight_bits", "activation_bits"), KINDS)
def test_the_longest_sum_just_fits_its_accumulator(pe, weight_bits, activation_bits):
    bits = accumulator_bits(pe, weight_bits, activation_bits)
    config = SvpeConfig(pe=pe, weight_bits=weight_bits, accumulator_bits=bits)
    weights = (array_integer(code, config) for code in range(1 << weight_bits))
    most = max(map(abs, weights)) << (activation_bits - 1)
    assert LONGEST_SUM * most < 1 << (bits - 1)
    if bits > 24:
        assert LONGEST_SUM * most > 1 << (bits - 8 - 1)


@pytest.mark.parametrize(("bits", "terms"), list(product((2, 3, 4, 5), (1, 2, 3, 4))))
def test_the_longest_sum_of_terms_just_fits_its_accumulator(bits, terms):
    found = accumulator_bits("shift", bits, 8, terms)
    config = SvpeConfig(weight_bits=bits, accumulator_bits=found)
    code = max(abs(array_integer(code, config)) for code in range(1 << bits))
    # The sum of a term is moved before that of the next one is added.
    most = 0
    for _ in range(terms):
        most = (most << config.term_shift) + LONGEST_SUM * (code << 7)
    assert most < 1 << (found - 1)
    if found > 24:
        assert most > 1 << (found - 8 - 1)


@pytest.mark.parametrize(
    ("changed", "text"),
    [
        ({"pe": "divide"}, "pe must be one of shift, multiply, multiply_lut, not 'divide'"),
        ({"weight_bits": 6}, "weight_bits must be from 2 to 5, not 6"),
        (
            {"epilogue_words": 3},
            "epilogue_words must be 1, 2 or 4 and at most the 8 columns, not 3",
        ),
        (
            {"columns": 2, "epilogue_words": 4},
            "epilogue_words must be 1, 2 or 4 and at most the 2 columns, not 4",
        ),
        ({"neighbours": 1}, "neighbours must be 0 or 2, not 1"),
        *(
            (
                {"neighbours": 2, "epilogue_words": 2} | changes,
                "neighbours=2 needs as many rows as lanes, 4 or more lanes and columns, and "
                f"epilogue_words of 2 or more, not {got}",
            )
            for changes, got in (
                ({"rows": 8}, "rows=8, lanes=16, columns=8, epilogue_words=2"),
                ({"columns": 2}, "rows=16, lanes=16, columns=2, epilogue_words=2"),
                ({"lanes": 2, "rows": 2}, "rows=2, lanes=2, columns=8, epilogue_words=2"),
                ({"epilogue_words": 1}, "rows=16, lanes=16, columns=8, epilogue_words=1"),
            )
        ),
        ({"pe": "multiply", "weight_bits": 17}, "weight_bits must be from 2 to 16, not 17"),
    ],
)
def test_what_does_not_exist_is_refused(changed, text):
    with pytest.raises(ValueError, match=f"^SvpeConfig {text}$"):
        SvpeConfig(**changed)


def test_a_configuration_without_newer_parameters_keeps_the_fingerprint_that_it_had():
    config = SvpeConfig()
    assert not {"epilogue_words", "neighbours"} & {*config.fields}
    assert f"{config.fingerprint:016x}" == "6565f60a650923e2"


def test_configurations_come_back_from_their_fields_and_differ_in_fingerprint():
    sizes = [{}, *({"epilogue_words": n} for n in (2, 4)), {"epilogue_words": 2, "neighbours": 2}]
    configs = [SvpeConfig(**each) for each in sizes]
    assert [SvpeConfig(**config.fields) for config in configs] == configs
    assert len({config.fingerprint for config in configs}) == len(configs)
