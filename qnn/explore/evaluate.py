"""``evaluate``: a point to its figures, a pure function of all that it is given."""

import hashlib
import json
import time

from qnn.errors import CompileError, ModelError, one_line
from qnn.explore.accuracy import rounded
from qnn.explore.evaluation import Evaluated, Fidelity, RoundedNetwork
from qnn.explore.hardware import hardware
from qnn.explore.network import FloatNetwork
from qnn.explore.point import Point
from qnn.explore.profile import Profile
from qnn.explore.version import version
from qnn.ir.serialize import from_bytes, to_bytes
from qnn.ptq.export import export


def evaluate(
    network: FloatNetwork,
    profile: Profile,
    point: Point,
    fidelity: Fidelity,
    known: RoundedNetwork | None = None,
) -> Evaluated:
    """The figures of a point; where there is no such design, the reason.

    Parameters
    ----------
    profile : of the point's formats; only the proxy reads it
    known : what ``rounding_fingerprint`` names, if it was computed before
    """
    started = time.perf_counter()
    rounding, proxy = known, fidelity is Fidelity.PROXY
    try:
        if known is None:
            made = rounded(network, profile, point, fidelity)
            graph, figures = export(made.quantized), made.figures
            rounding = None if proxy else RoundedNetwork(figures, to_bytes(graph))
        else:
            graph, figures = from_bytes(known.graph), known.figures
        # The proxy rounds to nearest, in less time than it takes to read a graph.
        figures = {**figures, **hardware(point, graph, nearest=proxy)}
    # A network that does not fit an array, or formats that it does not take, are results too.
    except (CompileError, ModelError) as error:
        # An array that is too small leaves the rounded network good for others.
        failed = {"failure": one_line(error), "rounded": rounding}
        return Evaluated(point, fidelity, **failed, seconds=_since(started))
    return Evaluated(point, fidelity, figures, rounded=rounding, seconds=_since(started))


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


def rounding_fingerprint(network: FloatNetwork, point: Point, fidelity: Fidelity) -> str | None:
    """64 digits of what a rounded network depends on: of the point no array, cores or clock.

    None of the proxy, which rounds nothing by data.
    """
    if fidelity is Fidelity.PROXY:
        return None
    fields = point.to_fields()
    numbers = {name: fields[name] for name in ("terms", "weight_bits", "activation_bits")}
    depends = [version(), network.digest, numbers, str(fidelity), "rounding"]
    return hashlib.sha256(json.dumps(depends, sort_keys=True).encode()).hexdigest()


def profile_fingerprint(network: FloatNetwork, formats: tuple[int, int]) -> str:
    """64 digits of what a profile depends on."""
    text = json.dumps([version(), network.digest, list(formats), "profile"])
    return hashlib.sha256(text.encode()).hexdigest()


def _since(started):
    return round(time.perf_counter() - started, 3)
