"""Image classifiers in the benchmark: what they are tested on, and the accuracy of integers."""

from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

from torch import Tensor, nn

from qnn.bench import codes, methods, shared
from qnn.bench.fashion import FASHION, trained_fashion_cnn
from qnn.bench.methods import Applied, MethodRun
from qnn.bench.table_run import TableRun
from qnn.ir.encode import as_results, encode_input
from qnn.ir.reference import Progress, reference
from qnn.nn.data import Dataset, digits
from qnn.nn.digits import trained_digits_cnn
from qnn.nn.model import QuantizedModel
from qnn.nn.preprocess import to_reals
from qnn.nn.training import accuracy
from qnn.nn.zoo import ZOO, ZooModel, load_model
from qnn.ptq.export import export
from qnn.tasks.measures import measured


@dataclass(frozen=True, eq=False)
class ImageTask:
    """A trained float model, its images, and its entry in the zoo."""

    model: nn.Module
    entry: ZooModel
    data: Dataset

    def float_scores(self) -> dict[str, float]:
        """Fields of a result that belong to the float model."""
        return {"float_accuracy": self._float_accuracy}

    @cached_property
    def _float_accuracy(self):
        reals = to_reals(self.data.x_test, self.entry.mean, self.entry.std)
        return 100 * accuracy(self.model, reals, self.data.y_test)

    def apply(self, run: TableRun, work: MethodRun) -> Applied:
        """Quantize by the run's method."""
        return methods.apply_to_images(run, self.model, self.entry, self.data, work)

    def scores(self, run: TableRun, applied: Applied, progress: Progress | None = None) -> dict:
        """Fields of a result that the exported integers decide, on every test image."""
        quantized = applied.network
        x, y = self.data.x_test, self.data.y_test
        return {
            "test_accuracy": integer_accuracy(quantized, x, y, progress),
            "test_images": len(y),
            "codes_after": codes.of_model(quantized),
        }


def integer_accuracy(
    quantized: QuantizedModel, x: Tensor, y: Tensor, progress: Progress | None = None
) -> float:
    """Percent of 8-bit images that the reference of the exported graph classifies as labelled.

    The reference computes with the exported integers alone; no float weight takes part.
    """
    graph = export(quantized)
    encoded = encode_input(graph, x.numpy())
    tensors = reference(graph, encoded, outputs_only=True, progress=progress)
    # On integers: all classes share one exponent, so that the greatest integer is the greatest
    # value, and none changes its sign.
    _, found = measured(as_results(graph.outputs[0], tensors[graph.outputs[0].name]), y.numpy())
    return found["accuracy"]


# MLPerf Tiny's performance sets, and a sample of ImageNet, are all there is of their data: every
# second image is learnt from, without labels, and the others test.
HALVED = {
    "dscnn": shared.tiny_kws,
    "mobilenetv1_vww": shared.tiny_vww,
    "mobilenetv1": shared.imagenet_sample,
}


def image_task(name: str, folder: Path | None) -> ImageTask:
    """The task of a model: digits, trained on the spot, or a data set of the folder."""
    if name == "digits_cnn":
        data = digits()
        return ImageTask(trained_digits_cnn(data), ZOO[name], data)
    folder = shared.needed(folder, name)
    if name == "fashion_cnn":
        data = Dataset(*shared.fashion(folder, "train"), *shared.fashion(folder, "test"))
        return ImageTask(trained_fashion_cnn(data), FASHION, data)
    model = load_model(name, shared.checkpoint(folder, name))
    if name in HALVED:
        x, y = HALVED[name](folder)
        return ImageTask(model, ZOO[name], Dataset(x[::2], y[::2], x[1::2], y[1::2]))
    data = Dataset(*shared.cifar10_train(folder), *shared.cifar10_test(folder))
    return ImageTask(model, ZOO[name], data)
