"""Profiles of a search: each is measured once and kept in the store."""

import time
from collections.abc import Callable, Sequence

from qnn.errors import ModelError
from qnn.explore.choices import LIMITS, TERMS
from qnn.explore.evaluate import profile_fingerprint
from qnn.explore.network import FloatNetwork, Formats
from qnn.explore.profile import WHOLE, Profile, measure_profile
from qnn.explore.store import Store, altered
from qnn.fields import FieldsError, typed

MEASURING = 0.1  # of the time, after which no further layer is measured in a whole design


def profiles_of(
    network: FloatNetwork,
    formats: Sequence[Formats],
    store: Store,
    report: Callable[[str], None],
    seconds: float | None = None,
) -> dict[Formats, Profile]:
    """The profile of each pair of formats, from the store where it has it.

    Parameters
    ----------
    seconds : of the whole search
    """
    found: dict[Formats, Profile] = {}
    for each in formats:
        name = profile_fingerprint(network, each)
        kept = store.fact(name)
        if kept is None:
            report(
                f"first, for all designs: {len(network.fused.convs)} layers are measured alone and "
                f"{WHOLE} designs whole; the store keeps it, and no limit of time cuts it short"
            )
            until = None if seconds is None else time.monotonic() + MEASURING * seconds
            profile = measure_profile(
                network, each, report, lambda until=until: until is None or _before(until)
            )
            # Read back, so that a search that goes on predicts by the same numbers.
            store.keep_fact(name, profile.to_fields())
            kept = store.fact(name)
        try:
            found[each] = typed(Profile, kept)
        except FieldsError as error:
            raise ModelError(f"{store.path}: a profile cannot be read: {error}") from None
        if not found[each].complete(LIMITS[TERMS]):
            raise altered(store.path)
    return found


def _before(until: float) -> bool:
    return time.monotonic() < until
