"""``evaluate``: a point to its figures, a pure function of all that it is given."""

import hashlib
import json
import time

from qnn.errors import CompileError, ModelError, one_line
from qnn.explore.accuracy import rounded
from qnn.explore.evaluation import Evaluated, Fidelity
from qnn.explore.hardware import hardware
from qnn.explore.network import FloatNetwork
from qnn.explore.point import Point
from qnn.explore.profile import Profile
from qnn.explore.version import version
from qnn.ir.serialize import to_bytes
from qnn.ptq.export import export


def evaluate(
    network: FloatNetwork, profile: Profile, point: Point, fidelity: Fidelity
) -> Evaluated:
    """The figures of a point; where there is no such design, the reason.

    Parameters
    ----------
    profile : of the point's formats; only the proxy reads it
    """
    started = time.perf_counter()
    try:
        made = rounded(network, profile, point, fidelity)
        graph = export(made.quantized)
        figures = made.figures | hardware(point, graph, nearest=made.nearest)
    # A network that does not fit an array, or formats that it does not take, are results too.
    except (CompileError, ModelError) as error:
        failure = one_line(error)
        return Evaluated(point, fidelity, failure=failure, seconds=_since(started))
    # The graph is what is built: from then on a design needs neither network nor data.
    kept = to_bytes(graph) if fidelity is Fidelity.FULL else None
    return Evaluated(point, fidelity, figures, graph=kept, seconds=_since(started))


def fingerprint(network: FloatNetwork, profile: Profile, point: Point, fidelity: Fidelity) -> str:
    """64 digits that differ for two evaluations if anything differs that they depend on."""
    depends = {
        "version": version(),
        "network": network.digest,
        "point": point.to_fields(),
        "fidelity": str(fidelity),
        # The dearer fidelities read nothing of it.
        "profile": profile.to_fields() if fidelity is Fidelity.PROXY else None,
    }
    return hashlib.sha256(json.dumps(depends, sort_keys=True).encode()).hexdigest()


def profile_fingerprint(network: FloatNetwork, formats: tuple[int, int]) -> str:
    """64 digits of what a profile depends on."""
    text = json.dumps([version(), network.digest, list(formats), "profile"])
    return hashlib.sha256(text.encode()).hexdigest()


def _since(started):
    return round(time.perf_counter() - started, 3)
