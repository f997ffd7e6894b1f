"""What ``qnn bench accuracy`` runs: every model, format, method, budget and seed, frozen."""

from collections.abc import Iterable
from fnmatch import fnmatchcase
from itertools import product

from qnn.bench.table_run import Rounding, TableRun, Training
from qnn.errors import ModelError

LANGUAGE_MODELS = ("stories260k",)
CALIBRATION = 2048  # images that choose the types of activations, in every run
WINDOW = 128  # tokens that a language model is rounded on at a time
# 2048 windows of 128, as many as the images that choose types of activations.
TOKENS = 1 << 18  # that each method of rounding sees
IMAGES = 10_000  # unlabelled, of the training set
DISCQUANT = Rounding(method="discquant", samples=IMAGES, bias_correction=None)
ADAROUND = Rounding(  # keeps operands and results of a layer in memory, and more do not fit
    method="adaround", samples=CALIBRATION, options=(("samples", CALIBRATION), ("rate", 0.05))
)
GPTQ = Rounding(
    method="gptq", samples=CALIBRATION, bias_correction=True, options=(("samples", CALIBRATION),)
)
NEAREST = Rounding(method="nearest", samples=CALIBRATION, bias_correction=None)
ESTIMATORS = (
    "straight_through",
    "clipped_straight_through",
    "reconstructed",
    "stochastic",
    "lsq",
    "inq",
    "deepshift_q",
    "deepshift_ps",
    "s3",
)
SMALL_BUDGET = 100  # steps, in which estimators are compared
SOFT = (("temperature", 4.0), ("precision", "bf16"))  # of every training on CIFAR-10
RECIPES = {  # by bits of weights: with two, biases have more to make up for
    2: (*SOFT, ("rate", 5e-3), ("grid_rate", 2.0)),
    3: (*SOFT, ("rate", 5e-4), ("grid_rate", 10.0)),
}

ROUNDED = tuple(
    TableRun(group="Rounding, no labels", model="resnet20", how=how, weight_bits=bits, terms=terms)
    for how, bits, terms in (
        *((how, 4, 1) for how in (NEAREST, ADAROUND, GPTQ, DISCQUANT)),
        *((how, 3, 1) for how in (NEAREST, ADAROUND, GPTQ, DISCQUANT)),
        *((how, 3, 2) for how in (NEAREST, ADAROUND, GPTQ, DISCQUANT)),
        (NEAREST, 3, 3),
        (NEAREST, 2, 1),
        (ADAROUND, 2, 1),
        (GPTQ, 2, 1),
        (DISCQUANT, 2, 1),
    )
)
TRAINED = tuple(
    TableRun(
        group="Training",
        model="resnet20",
        how=Training(method=method, epochs=epochs, options=RECIPES[bits]),
        weight_bits=bits,
        activation_bits=activation_bits,
    )
    for method, bits, activation_bits, epochs in (
        ("clipped_straight_through", 3, 8, 5),
        ("clipped_straight_through", 2, 8, 10),
        ("clipped_straight_through", 3, 4, 5),
    )
)
COMPARED = tuple(
    TableRun(
        group="Estimators, one budget",
        model="resnet20",
        how=Training(method=method, steps=SMALL_BUDGET, options=RECIPES[3]),
        weight_bits=3,
    )
    for method in ESTIMATORS
    if method not in ("straight_through", "reconstructed")
)
# Of five or six pairs of rates for each method and width, three times apart and judged on
# 5,000 held-out training images, the same was the best for both methods.
DUEL_RECIPES = {
    2: (*SOFT, ("rate", 1.5e-2), ("grid_rate", 2.0)),
    3: RECIPES[3],
}
DUEL = tuple(
    TableRun(
        group="Reconstructed gradient against straight-through, three seeds",
        model="resnet20",
        how=Training(method=method, steps=SMALL_BUDGET, options=DUEL_RECIPES[bits]),
        weight_bits=bits,
        seed=seed,
    )
    for bits, method, seed in product((3, 2), ("straight_through", "reconstructed"), range(3))
)
UNTUNED = tuple(
    TableRun(
        group="A second network, nothing tuned on it",
        model="resnet56",
        how=how,
        weight_bits=3,
        terms=terms,
    )
    for terms, how in product((1, 2), (NEAREST, ADAROUND, GPTQ, DISCQUANT))
)
TINY = tuple(
    TableRun(
        group="MLPerf Tiny, depthwise convolutions",
        model=model,
        how=how,
        weight_bits=bits,
        terms=terms,
    )
    for model, augmented in (("dscnn", False), ("mobilenetv1_vww", True))
    for how, formats in (
        (NEAREST, ((4, 1), (3, 1), (3, 2), (3, 3), (3, 4))),
        (
            Rounding(method="discquant", samples=IMAGES, augmented=augmented, bias_correction=None),
            ((4, 1), (3, 1), (3, 2)),
        ),
    )
    for bits, terms in formats
)
# Of weights alone the search does better from the weights as they are: 4 bits end at a perplexity
# of 5.65 so, and at 6.22 from GPTQ's values.
PAPER = (("steps", 600), ("batch", 16), ("start", "original"), ("rate", 0.1), ("rho", 200.0))
# Rows of one term move little, as each move is a large one, and the others make up for them.
SLOW_ROWS = (
    ("rate", 2.5e-4),
    ("terms_rate", 16.0),
    ("tuned_rate", 2.5e-4),
    ("inner_weight", 1.0),
)
# A text is its own labels. With a share of 1 its perplexity is no better and answers are farther
# from the teacher's, and after 1,500 steps more of it is known by heart.
NEXT = (("steps", 800), ("next_share", 0.6))
LANGUAGE_GROUP = "A language model, weights alone"
LANGUAGE = (
    *(
        TableRun(
            group=LANGUAGE_GROUP,
            model="stories260k",
            how=how,
            weight_bits=bits,
            terms=terms,
            activation_bits=None,
        )
        for (bits, terms), how in product(
            ((4, 1), (3, 1), (3, 2)),
            (
                Rounding(method="nearest", samples=0),
                Rounding(method="gptq", samples=TOKENS, options=(("samples", TOKENS // WINDOW),)),
                Rounding(
                    method="adaround", samples=TOKENS, options=(("samples", 512), ("rate", 0.05))
                ),
                Rounding(method="discquant", samples=TOKENS, options=PAPER),
            ),
        )
    ),
    # Rates were chosen in shorter runs, by the loss on stories that are neither tested nor seen.
    *(
        TableRun(
            group=LANGUAGE_GROUP,
            model="stories260k",
            how=how,
            weight_bits=3,
            terms=terms,
            mean_terms=mean_terms,
            activation_bits=None,
        )
        for terms, mean_terms, how in (
            (
                1,
                None,
                Rounding(
                    method="latent", samples=1 << 19, options=(("steps", 1500), ("rate", 2e-3))
                ),
            ),
            *(
                (
                    None,
                    1.5,
                    Rounding(
                        method="latent",
                        samples=1 << 20,  # all that there are
                        augmented=augmented,
                        options=options,
                    ),
                )
                # What follows in a text does not follow in a copy with other tokens.
                for options, augmented in (
                    ((("steps", 1500), *SLOW_ROWS), True),
                    ((*NEXT, *SLOW_ROWS), False),
                )
            ),
        )
    ),
    TableRun(
        group=LANGUAGE_GROUP,
        model="stories260k",
        how=Rounding(method="nearest", samples=TOKENS),
        weight_bits=3,
        terms=None,
        mean_terms=1.5,
        activation_bits=None,
    ),
)
AUTOMATIC = tuple(
    TableRun(
        group="Without a word, and by the same way with one term",
        model=model,
        how=Rounding(method="auto", samples=IMAGES, bias_correction=None),
        weight_bits=bits,
        terms=terms,
        activation_bits="auto",
    )
    for model, bits, terms in (
        *product(("resnet20", "resnet56", "resnet8"), (3,), (None, 1)),
        *product(("dscnn", "mobilenetv1_vww", "mobilenetv1", "fashion_cnn"), (3,), (None, 1)),
        ("resnet20", 4, 1),
    )
)
# In the order of the table.
RUNS = AUTOMATIC + ROUNDED + TRAINED + COMPARED + DUEL + UNTUNED + TINY + LANGUAGE

QUICK_STEPS = (("steps", 60),)
QUICK = tuple(
    TableRun(group="Digits", model="digits_cnn", how=how, weight_bits=bits, activation_bits=8)
    for how, bits in (
        (Rounding(method="nearest", samples=512), 3),
        (Rounding(method="nearest", samples=512), 2),
        (Rounding(method="gptq", samples=512), 2),
        (Rounding(method="adaround", samples=512, options=QUICK_STEPS), 2),
        (Rounding(method="discquant", samples=512, options=QUICK_STEPS), 2),
        (Training(method="straight_through", epochs=2), 2),
        (Training(method="reconstructed", epochs=2), 2),
    )
)


def select(runs: Iterable[TableRun], patterns: Iterable[str]) -> tuple[TableRun, ...]:
    """The runs whose names match one of ``patterns`` (``*`` and ``?``); without any, all.

    Raises
    ------
    ModelError
        No run matches a pattern.
    """
    runs, patterns = tuple(runs), tuple(patterns)
    for pattern in patterns:
        if not any(fnmatchcase(run.name, pattern) for run in runs):
            raise ModelError(
                f"bench accuracy needs the name of a run or a pattern, but none matches "
                f"'{pattern}'; --list shows them"
            )
    if not patterns:
        return runs
    return tuple(run for run in runs if any(fnmatchcase(run.name, p) for p in patterns))
