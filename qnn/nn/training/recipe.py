"""How to train: every choice that the trained weights depend on, apart from model and data."""

import json
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field, fields, replace
from inspect import signature
from math import isfinite

from qnn.quant.estimators import estimator

SCHEDULES = ("cosine", "halving", "constant")
OPTIMIZERS = ("adam", "adamw", "sgd")
PRECISIONS = ("fp32", "bf16", "fp16")
USUAL_EPOCHS, LEAST_STEPS = 5, 1000
# As many cost a few steps, and tell a loss that is a tenth worse from its noise.
HELD_OUT = 512  # images of a quantized model
FLOAT_RATE, GRID_RATE = 1e-3, 3e-4


@dataclass(frozen=True, kw_only=True)
class Recipe:
    """Everything about a training run but its model, teacher, data and augmentation.

    Members
    -------
    epochs : passes over the training images; each takes whole batches, in an order of its own.
        None: five, or as many more as 1,000 steps take
    steps : updates of the weights in all, instead of ``epochs``
    batch : images an update, over all processes; fewer if there are no more
    rate : the highest learning rate, of weights off the grid; others are multiples of it. None:
        1e-3 of a float model, 3e-4 of a quantized one, which starts from what rounding gave
    schedule : "cosine" falls to 0, "halving" halves every ``half_life`` steps, "constant" stays
    half_life : steps
    warm_up : share of the steps in which the rate rises to ``rate`` first
    optimizer : "adam", "adamw", or "sgd" with ``momentum``
    momentum : of "sgd"
    weight_decay : of convolutions' and linear layers' weights alone
    grid_rate : times ``rate``: of a quantized model's weights, in units of their grid's greatest
        value, and of what takes their place
    norm_rate : times ``rate``: of biases and BatchNorm
    exponent_rate : times ``rate``: of learned exponents, which count as the nearest integers
    clip : greatest norm of the gradient; None: no bound
    kl, reverse_kl, labels : weights of three losses when there is a teacher: the divergence of
        the student from the teacher, of the teacher from the student, and the cross-entropy with
        the labels; without a teacher the last one alone counts, once
    temperature : what logits are divided by in both divergences, whose weight grows by its square
    label_smoothing : share of each label that goes to all classes
    method, options : estimator of a quantized model, and what it takes
    learn_exponents : whether exponents of activations are learned, for a quantized model
    freeze_statistics_at : share of the steps after which BatchNorm keeps its statistics, of which
        a quantized model moves the means alone; None: 1, and for a quantized one 0 where the
        first batch loses clearly less so
    ghost_batch : images that share BatchNorm's statistics; None: all that one process has
    ema : decay of the average of the weights that is evaluated and kept; None: the last weights
    precision : "fp32", or "bf16" or "fp16" for what autocast takes; "fp16" on a GPU only
    channels_last : memory format of images and weights
    held_out : a tenth of the training images, so many at most, are not trained on: where their
        loss is larger after training than before, the model is kept as it was; 0: none, and what
        was trained is kept whatever it is; None: 512 for a quantized model, which begins where
        rounding left it, and none for a float one. A loss of the user's own is not judged
    diverged : a loss above so many times its start, or the entropy of guessing, ends training
    seed : of the order of images, of augmentation, and of what estimators draw

    Raises
    ------
    ValueError
        A value that is no choice or out of range.
    """

    epochs: int | None = None
    steps: int | None = None
    batch: int = 128
    rate: float | None = None
    schedule: str = "cosine"
    half_life: int = 20_000
    warm_up: float = 0.05
    optimizer: str = "adam"
    momentum: float = 0.9
    weight_decay: float = 0.0
    # Weights off the grid are of the order of 0.1; in units of their grid, of the order of 1.
    grid_rate: float = 10.0
    norm_rate: float = 1.0
    # With 4-bit activations, a ResNet-8 gains as much by exponents as by weights. Those of a dense
    # network never change at a third of this rate.
    exponent_rate: float = 10.0
    clip: float | None = None
    kl: float = 1.0
    reverse_kl: float = 0.0
    labels: float = 0.0
    temperature: float = 1.0
    label_smoothing: float = 0.0
    method: str = "clipped_straight_through"
    options: Mapping[str, object] = field(default_factory=dict)
    learn_exponents: bool = True
    freeze_statistics_at: float | None = None
    ghost_batch: int | None = None
    ema: float | None = None
    precision: str = "fp32"
    channels_last: bool = True
    held_out: int | None = None
    # Four times the loss of guessing is no noise of a batch.
    diverged: float = 4.0
    seed: int = 0

    def __post_init__(self):
        self._check_options()
        self._check_choices()
        self._check_counts()
        self._check_shares()
        self._check_sizes()
        if not (self.kl or self.reverse_kl or self.labels):
            raise ValueError("Recipe needs kl, reverse_kl or labels above 0, not 0 for all three")

    def _check_options(self):
        taken = [*signature(estimator(self.method)).parameters][2:]  # after bits and terms
        for name in self.options:
            if name not in taken:
                known = ", ".join(taken) or "none"
                raise ValueError(
                    f"Recipe needs options that {self.method} takes, which are {known}, not "
                    f"'{name}'"
                )

    def _check_choices(self):
        for name, choices in (
            ("schedule", SCHEDULES),
            ("optimizer", OPTIMIZERS),
            ("precision", PRECISIONS),
        ):
            if getattr(self, name) not in choices:
                raise ValueError(
                    f"Recipe needs {name} to be one of {', '.join(choices)}, not "
                    f"'{getattr(self, name)}'"
                )
        for name in ("learn_exponents", "channels_last"):
            if getattr(self, name) not in (True, False):
                raise ValueError(
                    f"Recipe needs {name} to be true or false, not '{getattr(self, name)}'"
                )

    def _check_counts(self):
        for name, least in (
            ("epochs", 1),
            ("steps", 1),
            ("batch", 1),
            ("half_life", 1),
            ("ghost_batch", 2),
            ("held_out", 0),
            ("seed", 0),
        ):
            value = getattr(self, name)
            if value is None and name in ("epochs", "steps", "ghost_batch", "held_out"):
                continue
            # True is an int to Python; as a count it is a mistake.
            if not isinstance(value, int) or isinstance(value, bool) or value < least:
                raise ValueError(f"Recipe needs {name} to be an integer from {least}, not {value}")

    def _check_shares(self):
        for name in ("warm_up", "momentum", "label_smoothing", "freeze_statistics_at", "ema"):
            value = getattr(self, name)
            if value is None and name in ("freeze_statistics_at", "ema"):
                continue
            if not _is_number(value) or not 0 <= value <= 1:
                raise ValueError(f"Recipe needs {name} from 0 to 1, not {value}")

    def _check_sizes(self):
        for name in ("rate", "temperature", "diverged", "clip"):
            value = getattr(self, name)
            if value is None and name in ("rate", "clip"):
                continue
            if not (_is_number(value) and isfinite(value) and value > 0):
                raise ValueError(f"Recipe needs {name} above 0 and finite, not {value}")
        for name in (
            "weight_decay",
            "grid_rate",
            "norm_rate",
            "exponent_rate",
            "kl",
            "reverse_kl",
            "labels",
        ):
            value = getattr(self, name)
            if not (_is_number(value) and isfinite(value) and value >= 0):
                raise ValueError(f"Recipe needs {name} of at least 0 and finite, not {value}")

    def __repr__(self) -> str:
        # What differs from the defaults, which are many.
        usual = {each.name: getattr(Recipe, each.name, {}) for each in fields(self)}
        given = ((name, getattr(self, name)) for name in usual)
        shown = (f"{name}={value!r}" for name, value in given if value != usual[name])
        return f"Recipe({', '.join(shown)})"

    def to_fields(self) -> dict:
        """Plain values, as JSON gives them back."""
        # There and back, so that tuples are lists, as in a checkpoint that was read.
        return json.loads(json.dumps(asdict(self)))

    def of(self, quantized: bool) -> "Recipe":
        """The recipe with what is usual for its kind of model, where it says nothing of its own."""
        rate, held_out = (GRID_RATE, HELD_OUT) if quantized else (FLOAT_RATE, 0)
        usual = {"rate": rate, "held_out": held_out}
        return replace(self, **{k: v for k, v in usual.items() if getattr(self, k) is None})

    def steps_for(self, images: int) -> int:
        """Updates in all on so many training images."""
        if self.steps is not None or self.epochs is not None:
            return self.steps or self.epochs * self.epoch_steps(images)
        return max(LEAST_STEPS, USUAL_EPOCHS * self.epoch_steps(images))

    def epoch_steps(self, images: int) -> int:
        """Updates in one pass over so many training images."""
        # A data set below one batch still makes steps, each of all of it.
        return max(1, images // self.batch)


def _is_number(value):
    return isinstance(value, int | float) and not isinstance(value, bool)


def first_difference(one: Mapping, other: Mapping) -> str | None:
    """The first field of a recipe in which two, as ``to_fields`` gives them, differ."""
    names = [f.name for f in fields(Recipe)]
    return next((name for name in names if one.get(name) != other.get(name)), None)
