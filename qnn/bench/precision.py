"""What a product costs at each precision: shifts in one to four terms, beside multipliers in LUTs.

LUTs are counted by Yosys, in ``qnn.bench.array``. The signal to noise is calculated from random
weights alone: activations, of 8 bits in all rows, are not in it.
"""

from collections.abc import Sequence
from dataclasses import asdict, dataclass

import torch
from torch import Tensor

from hw.spec.widths import LONGEST_SUM, accumulator_bits
from qnn.bench import array
from qnn.quant import pow2
from qnn.quant.search_exponent import DEPTH, search_exponent

SEED, CHANNELS, WEIGHTS_PER_CHANNEL = 0, 64, 1024
ACTIVATION_BITS = 8
SCHEMES = (
    *(("shift", bits, terms) for bits in (2, 3, 4, 5) for terms in (1, 2, 3, 4)),
    *(("multiply_lut", bits, 1) for bits in (3, 4, 5, 6, 7, 8)),
)
TITLE = (
    f"precision by terms: LUTs at {ACTIVATION_BITS}-bit activations (Yosys), with accumulators for "
    f"{LONGEST_SUM:,} products; signal to noise (calculated) of Gaussian weights, {CHANNELS} "
    f"channels of {WEIGHTS_PER_CHANNEL:,}, seed {SEED}, a power-of-two scale per channel, rounded "
    f"to nearest"
)
HEADER = ("PE", "weights", "steps (terms)", "LUT/lane", "LUT x steps", "dB", "cheapest")


@dataclass(frozen=True, kw_only=True)
class Row:
    """One way to multiply by a weight.

    Members
    -------
    kind : shift or multiply_lut
    lut : of a lane (measured), with the accumulator that so many terms need
    steps : of the array for one product, one for each term
    lut_steps : their product, which is the area that a product per cycle takes
    snr_db : signal to noise of the weights, to 0.1 dB: another seed gives others below that
    best : no other row has as many dB for fewer LUTs x steps, or more dB for as many
    """

    kind: str
    bits: int
    terms: int
    lut: float
    steps: int
    lut_steps: float
    snr_db: float
    best: bool


def table(counted: Sequence[array.Row]) -> list[Row]:
    """A row for each of ``SCHEMES``, in their order, with the LUTs of the array's rows."""
    luts = {
        (row.pe, row.weight_bits, row.accumulator_bits): row.lut_per_lane
        for row in counted
        if row.activation_bits == ACTIVATION_BITS
    }
    weights = gaussian_weights()
    found = []
    for kind, bits, terms in SCHEMES:
        lut = luts[kind, bits, accumulator_bits(kind, bits, ACTIVATION_BITS, terms)]
        snr_db = (
            shift_snr_db(weights, bits, terms) if kind == "shift" else uniform_snr_db(weights, bits)
        )
        found.append((kind, bits, terms, lut, round(snr_db, 1)))
    costs = [(lut * terms, snr_db) for _, _, terms, lut, snr_db in found]
    return [
        Row(
            kind=kind,
            bits=bits,
            terms=terms,
            lut=lut,
            steps=terms,
            lut_steps=lut * terms,
            snr_db=snr_db,
            best=is_best((lut * terms, snr_db), costs),
        )
        for kind, bits, terms, lut, snr_db in found
    ]


def is_best(one: tuple[float, float], others: Sequence[tuple[float, float]]) -> bool:
    """Whether nothing is as good as ``one`` in both cost and precision, and better in one of them.

    All are pairs of LUTs x steps, and dB.
    """
    cost, snr_db = one
    return not any(
        (other, more) != one and other <= cost and more >= snr_db for other, more in others
    )


def gaussian_weights() -> Tensor:
    """(channels, weights) float64, always the same."""
    generator = torch.Generator().manual_seed(SEED)
    return torch.randn(CHANNELS, WEIGHTS_PER_CHANNEL, generator=generator, dtype=torch.float64)


def shift_snr_db(w: Tensor, bits: int, terms: int) -> float:
    """Signal to noise of weights as a quantized model rounds them to codes, with its exponents.

    Parameters
    ----------
    w : (outputs, ...) float64
    """
    exponent = search_exponent(w, bits, terms)
    indices = pow2.nearest(w, exponent, bits, terms)
    return _snr_db(w, pow2.values(indices, exponent, bits))


def uniform_snr_db(w: Tensor, bits: int) -> float:
    """The same for integers of two's complement, each channel with its best power-of-two scale.

    Parameters
    ----------
    w : (outputs, weights) float64
    """
    half = 2 ** (bits - 1)
    # From twice the scale that clips next to nothing downwards, as far as the search for shifts.
    _, top = torch.frexp(w.abs().amax(1, keepdim=True))
    best = torch.zeros_like(w)
    for depth in range(DEPTH):
        scale = pow2.exp2(top + 2 - bits - depth)
        rounded = (w / scale).round().clamp(-half, half - 1) * scale
        better = (w - rounded).square().sum(1) < (w - best).square().sum(1)
        best[better] = rounded[better]
    return _snr_db(w, best)


def to_fields(rows: Sequence[Row]) -> dict:
    """Plain values for JSON."""
    return {
        "weights": {"seed": SEED, "channels": CHANNELS, "per_channel": WEIGHTS_PER_CHANNEL},
        "rows": [asdict(row) for row in rows],
    }


def cells(rows: Sequence[Row]) -> list[tuple[str, ...]]:
    """The table as texts, in the columns of ``HEADER``."""
    ranges = _ranges(rows)
    return [
        (
            row.kind,
            f"{row.bits} bits",
            str(row.steps),
            f"{row.lut:.2f}",
            f"{row.lut_steps:.2f}",
            f"{row.snr_db:.1f}",
            ranges.get(row, ""),
        )
        for row in rows
    ]


def findings(rows: Sequence[Row]) -> list[str]:
    """Who is the cheapest in LUTs x steps, and for which precision: a sentence for each kind."""
    texts = []
    for kind, name in (("shift", "shifts"), ("multiply_lut", "multipliers in LUTs")):
        won = [
            f"{text} ({row.bits} bits{_terms(row)})"
            for row, text in _ranges(rows).items()
            if row.kind == kind
        ]
        texts.append(f"{name} take the fewest LUTs x steps {'; '.join(won) or 'nowhere'}")
    return texts


def _terms(row):
    if row.kind != "shift":
        return ""
    return f", {row.terms} term{'s' if row.terms > 1 else ''}"


def _ranges(rows):
    """The precisions that each best row is the cheapest for, as a text."""
    best = [row for row in rows if row.best]
    levels = sorted({row.snr_db for row in best})
    below = dict(zip(levels[1:], levels, strict=False))
    return {
        row: (f"over {below[row.snr_db]:.1f} " if row.snr_db in below else "")
        + f"to {row.snr_db:.1f} dB"
        for row in sorted(best, key=lambda row: row.snr_db)
    }


def _snr_db(w, rounded):
    """Of all channels together."""
    return float(10 * torch.log10(w.square().sum() / (w - rounded).square().sum()))
