"""Results on disk: one JSON object a line, appended whole, so that a run is in it or is not."""

from collections.abc import Iterable, Mapping
from dataclasses import asdict, dataclass, fields
from pathlib import Path

from qnn.bench.lines import append_line, whole_lines
from qnn.errors import ModelError
from qnn.fields import FieldsError, parsed, typed

WHAT = "results"  # what the file holds, for errors


@dataclass(frozen=True, kw_only=True)
class Result:
    """What one run measured. Accuracies are in percent, None for a language model.

    Members
    -------
    test_accuracy : of the exported integers, on all ``test_images``
    float_perplexity, test_perplexity : of a language model, on ``test_tokens``
    terms : None where they were chosen layer by layer
    mean_terms : of all products
    cycles : of the layers on the reference array, over those with one term everywhere; None where
        terms were given
    steps : that the method may take; it may end earlier. DiscQuant's are those of its search: those
        of the method that it starts from, and of biases alone, are in the definition
    seconds : of the method; evaluation is apart
    codes_before, codes_after : weights with each index from -K to K, all layers and terms
        together: after rounding to nearest, and after the method
    definition : of the run, as it was
    """

    name: str
    group: str
    model: str
    method: str
    weight_bits: int
    activation_bits: int | None
    terms: int | None
    seed: int
    steps: int
    seconds: float
    mean_terms: float | None = None
    cycles: float | None = None
    float_accuracy: float | None = None
    test_accuracy: float | None = None
    test_images: int | None = None
    float_perplexity: float | None = None
    test_perplexity: float | None = None
    test_tokens: int | None = None
    codes_before: list[int]
    codes_after: list[int]
    threads: int
    torch_version: str
    machine: dict
    commit: str | None
    definition: dict

    @property
    def score(self) -> tuple[float, str]:
        """The result, and its unit behind the number."""
        if self.test_accuracy is not None:
            return self.test_accuracy, " %"
        return self.test_perplexity, " perplexity"

    def to_fields(self) -> dict:
        """Plain values for JSON."""
        return asdict(self)


def read(path: Path) -> list[Result]:
    """All results in the file, in order; none if there is no file.

    Raises
    ------
    ModelError
        It is no file, or a line is no result.
    """
    return [_result(path, number, line) for number, line in whole_lines(path, WHAT)]


def append(path: Path, result: Result) -> None:
    """Add one line to the file.

    Raises
    ------
    ModelError
        The file cannot be written.
    """
    append_line(path, result.to_fields(), WHAT)


def of_runs(results: Iterable[Result], definitions: Mapping[str, dict]) -> dict[str, Result]:
    """The newest result of each run, by name, if the run was defined then as it is now."""
    return {
        result.name: result
        for result in results
        if definitions.get(result.name) == result.definition
    }


def _result(path, number, line):
    try:
        held = typed(dict, parsed(line))
        names = {field.name for field in fields(Result)}
        # Fields of newer versions are left out: old code reads new results.
        result = typed(Result, {name: value for name, value in held.items() if name in names})
        _check(result)
    except FieldsError:
        raise ModelError(
            f"results {path} need one result a line, but line {number} is none; remove it, or "
            f"choose another file with --out"
        ) from None
    return result


def _check(result):
    """Refuse a result without the numbers and names that every table has of it."""
    if result.test_accuracy is None and result.test_perplexity is None:
        raise FieldsError("an accuracy or a perplexity", "none of both")
    typed(str, result.machine.get("cpu"))
    typed(str | None, result.machine.get("gpu"))
    typed(dict, result.definition.get("settings", {}))
