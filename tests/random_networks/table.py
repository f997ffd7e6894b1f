"""What a campaign found, as text: how many networks, values and failures, and what they reached."""

from collections import Counter
from collections.abc import Sequence

from tests.random_networks.campaign import FAILED, PASSED, REFUSED, Result
from tests.random_networks.reached import REACHED


def table(results: Sequence[Result]) -> str:
    """A line of totals, the configurations, and how many networks have each kind of operator."""
    outcomes = Counter(each.result for each in results)
    passed = [each for each in results if each.result == PASSED]
    targets = Counter(each.target for each in passed)
    kinds = Counter(kind for each in passed for kind in {*each.kinds})
    seconds = sum(each.seconds for each in results)
    lines = [
        f"{outcomes[PASSED]} networks passed, {outcomes[FAILED]} failed, {outcomes[REFUSED]} fit "
        f"no configuration; {sum(each.values for each in passed)} values equal; {seconds:.0f} s",
        "compiled for: " + ", ".join(f"{name} {n}" for name, n in targets.most_common()),
        "reached: " + ", ".join(f"{kind} {kinds[kind]}" for kind in REACHED),
        "put together from: "
        + ", ".join(f"{kind} {n}" for kind, n in sorted(kinds.items()) if ": " in kind),
    ]
    return "\n".join(lines)
