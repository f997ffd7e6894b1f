"""An application in integers: its score for each way of quantization, and its equality in RTL."""

import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path

from qnn.bench.applications.table import Application, ApplicationData
from qnn.bench.applications.train import trained
from qnn.design import compile
from qnn.nn.model import QuantizedModel
from qnn.nn.training.outputs import all_outputs
from qnn.ptq.export import export
from qnn.ptq.quantize import quantize
from sim.verify import verify

CALIBRATION = 512  # training samples that choose types
WEIGHT_BITS = 3
Bar = Callable  # a progress bar with a text, as a context that gives a function of done and all


@dataclass(frozen=True, kw_only=True)
class ApplicationResult:
    """One application, quantized in one way.

    Members
    -------
    measure : what the scores are, in percent
    float_score, score : of the float network, and of the integers, on all test samples
    train_seconds, quantize_seconds : of the float training and of the quantization
    device, mismatches, values : of the verification of one sample; None where it was not asked for
    """

    application: str
    measure: str
    rounding: str
    weight_bits: int
    terms: int
    float_score: float
    score: float
    train_seconds: float
    quantize_seconds: float
    device: str | None = None
    mismatches: int | None = None
    values: int | None = None

    def to_fields(self) -> dict:
        """Plain values for JSON."""
        return asdict(self)


def measure(
    application: Application,
    folder: Path | None,
    work: Path,
    ways: Sequence[tuple[str, int]],
    device: str | None,
    bar: Bar,
) -> Iterator[ApplicationResult]:
    """Train the application, or take its weights from ``work``, and quantize it in each way.

    Parameters
    ----------
    folder : of data
    ways : rounding and terms of each
    device : that one test sample of the last way is verified on
    """
    samples = application.load(folder)
    with bar(f"{application.name}: training") as report:
        weights = work / f"{application.name}.safetensors"
        network, seconds = trained(application, samples, weights, report)
    wanted = application.score(all_outputs(network, samples.x_test)[0], samples.y_test)
    for number, (rounding, terms) in enumerate(ways, 1):
        started = time.perf_counter()
        quantized = quantize(
            network, samples.x_train[:CALIBRATION], WEIGHT_BITS, rounding=rounding, terms=terms
        )
        spent = time.perf_counter() - started
        score = application.score(all_outputs(quantized, samples.x_test)[0], samples.y_test)
        checked = _verified(quantized, samples, device) if number == len(ways) and device else {}
        yield ApplicationResult(
            application=application.name,
            measure=application.measure,
            rounding=rounding,
            weight_bits=WEIGHT_BITS,
            terms=terms,
            float_score=round(wanted, 2),
            score=round(score, 2),
            train_seconds=round(seconds, 1),
            quantize_seconds=round(spent, 1),
            **checked,
        )


def _verified(quantized: QuantizedModel, samples: ApplicationData, device: str) -> dict:
    design = compile(export(quantized), "reference")
    report = verify(design, samples.x_test[:1].numpy(), device)
    # A run that fails is no equality, however many values it compared.
    lost = 0 if report.passed else max(report.mismatches, 1)
    return {"device": device, "mismatches": lost, "values": report.values_compared}
