"""The network that ``qnn explore`` searches, as each of its processes loads it."""

from typing import TYPE_CHECKING

from qnn.cli.float_options import load_float
from qnn.cli.formats import check_known, for_pixels
from qnn.cli.sources import read_data_for
from qnn.cli.tasks import asked_task

if TYPE_CHECKING:
    from qnn.explore.network import FloatNetwork

Statistic = float | tuple[float, ...] | None


def load_network(
    model: str,
    checkpoint: str | None,
    shapes: tuple[tuple[int, ...], ...],
    data: str,
    layout: str | None,
    task: str | None,
    samples: int,
    mean: Statistic,
    std: Statistic,
) -> "FloatNetwork":
    """The network with the images that ``qnn quantize`` would take of the same options."""
    import torch

    from qnn.explore.network import FloatNetwork
    from qnn.ptq.compare import TestSet
    from qnn.ptq.data import chosen_labels, drawn
    from qnn.runtime.given import image_count, images_of

    network = load_float(model, checkpoint, list(shapes))
    images = read_data_for(data, network, layout)
    check_known(data, images.x_train, mean)
    means, deviations = (for_pixels(each, images.x_train) for each in (mean, std))
    test = TestSet.of(network, images, samples, (means, deviations), asked_task(task))
    # Drawn as quantize draws them, so that its command makes the same network.
    which = drawn(image_count(images.x_train), samples)
    given, labels = images_of(images.x_train, which), chosen_labels(images.y_train, which)
    # Of several inputs they are a tuple already.
    held = (given,) if isinstance(given, torch.Tensor) else tuple(given)
    return FloatNetwork(network, held, test, means, deviations, labels)
