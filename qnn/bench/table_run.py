"""What a row of ``qnn bench accuracy`` is: a model, a format, a method with its budget, a seed."""

from dataclasses import asdict, dataclass

Options = tuple[tuple[str, object], ...]


@dataclass(frozen=True, kw_only=True)
class Rounding:
    """Rounding after training, without labels but those that a text is itself.

    Members
    -------
    method : of ``qnn.quant.rounding``
    samples : unlabelled images, or tokens in windows, that it may see: the first ones
    augmented : whether images are cropped and flipped in each step; of stories, whether there are
        copies too in which the float model draws some of the tokens
    bias_correction : whether biases then take back the shift of means; None: where it helps, which
        is the default of ``qnn.quantize``
    options : of the method; the others have its defaults
    """

    method: str
    samples: int
    augmented: bool = False
    bias_correction: bool | None = False
    options: Options = ()

    @property
    def next_tokens(self) -> bool:
        """Whether it learns from the tokens that follow, too, and not from the teacher alone."""
        return bool(dict(self.options).get("next_share"))


@dataclass(frozen=True, kw_only=True)
class Training:
    """Training on the grid, with the float model as teacher.

    Members
    -------
    method : of ``qnn.quant.estimators``
    epochs : over all training images
    steps : instead of epochs
    options : fields of ``qnn.nn.training.Recipe``; the others have its defaults
    """

    method: str
    epochs: int = 1
    steps: int | None = None
    options: Options = ()

    @property
    def budget(self) -> str:
        """How long it lasts, for names."""
        return f"{self.epochs}epochs" if self.steps is None else f"{self.steps}steps"


@dataclass(frozen=True, kw_only=True)
class TableRun:
    """One run of ``qnn bench accuracy``, which is one row of its table.

    Members
    -------
    group : the part of the table
    model : of ``qnn.nn.zoo``, "fashion_cnn", or a language model
    terms : None: as ``mean_terms`` says, or else as few as reach the default's target, in cycles of
        the reference array
    mean_terms : of all weights, row by row where they save most; None: it is not said
    activation_bits : "auto": as many as the default takes; None: activations stay floats
    """

    group: str
    model: str
    how: Rounding | Training
    weight_bits: int
    terms: int | None = 1
    mean_terms: float | None = None
    activation_bits: int | str | None = 8
    seed: int = 0

    @property
    def name(self) -> str:
        """``METHOD-w3a8-MODEL``; with ``x2`` for two terms, with a budget, with a seed above 0.

        Of a language model that learns from the tokens that follow, with ``next``.
        """
        # With one term, "auto" must not have the name of terms that it chooses.
        told = self.terms is not None and (self.terms > 1 or self.how.method == "auto")
        mean = "" if self.mean_terms is None else f"x{self.mean_terms:g}"
        terms = f"x{self.terms}" if told else mean
        activations = "" if self.activation_bits is None else f"a{self.activation_bits}"
        parts = [self.how.method, f"w{self.weight_bits}{terms}{activations}", self.model]
        if isinstance(self.how, Training):
            parts.append(self.how.budget)
        elif self.how.next_tokens:
            parts.append("next")
        if self.seed:
            parts.append(f"seed{self.seed}")
        return "-".join(parts)

    def definition(self) -> dict:
        """All that the result depends on but code and data, as JSON gives it back."""
        fields = asdict(self)
        # Lists, as JSON knows no tuples: what was read must equal what is.
        fields["how"]["options"] = [list(option) for option in self.how.options]
        # Where a row stands in the table changes no result.
        del fields["group"]
        # Definitions of before it was known hold as they are.
        if self.mean_terms is None:
            del fields["mean_terms"]
        return fields
