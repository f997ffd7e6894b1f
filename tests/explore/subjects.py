"""A network of a second, with data, and evaluations without any network."""

from functools import lru_cache

from qnn.explore.evaluation import Evaluated, Fidelity, Figure, Mark
from qnn.explore.network import FloatNetwork
from qnn.explore.point import Point
from qnn.explore.profile import Profile, measure_profile
from qnn.ptq.compare import TestSet
from qnn.tasks.kinds import TaskKind
from tests.ptq.trained import classifier, images_of

ARRAY = {"lanes": 8, "rows": 8, "columns": 2, "feature_words": 2048, "weight_words": 512}


@lru_cache
def network() -> FloatNetwork:
    """A classifier of 300 images, and 200 that it is tested on."""
    model, images = classifier()
    inputs, labels = images_of(200, 2000)
    test = TestSet((inputs,), (labels.numpy(),), (TaskKind.CLASSES,))
    return FloatNetwork(model, (images,), test)


@lru_cache
def profile() -> Profile:
    """Of 3-bit weights and 8-bit activations."""
    return measure_profile(network(), (3, 8), lambda _line: None, lambda: False)


def point(terms: int = 1, **changes) -> Point:
    """A design of so many terms everywhere on a small array."""
    names = profile().losses
    return Point(**({"terms": dict.fromkeys(names, terms), "array": ARRAY} | changes))


def evaluation(**values: float) -> Evaluated:
    """Figures without a network, each exact."""
    figures = {name: Figure.about(v, 0.0, Mark.MEASURED) for name, v in values.items()}
    return Evaluated(Point(array={"lanes": 8}), Fidelity.QUICK, figures)
