"""Print every count of the sources: ``python -m tests.counts``; ``-v`` says where each is."""

import sys
from dataclasses import dataclass

from tests.counts.comments import LEAST, shares
from tests.counts.kinds import MOST as MOST_QUESTIONS
from tests.counts.kinds import node_kinds, outside, questions
from tests.counts.lengths import MOST_LINES, long_files
from tests.counts.names import MOST as MOST_NAMES
from tests.counts.names import shared_names
from tests.counts.rules import RULES, copies
from tests.counts.sources import sources


@dataclass(frozen=True)
class Count:
    """One row of the table: what is counted, the count, its limit, and where it was found."""

    what: str
    got: str
    limit: str
    holds: bool
    places: tuple[str, ...]


def counts(files: dict[str, str]) -> list[Count]:
    """All counts of ``files``, path to text."""
    names = [f"{name}: {', '.join(paths)}" for name, paths in sorted(shared_names(files).items())]
    asked = questions(outside(files), node_kinds(files))
    rules = [
        line for rule in RULES.values() for each in files.items() for line in copies(rule, *each)
    ]
    packages = sorted(shares(files).items(), key=lambda item: item[1])
    name, share = packages[0]
    return [
        _most("class names that stand in two files", names, MOST_NAMES),
        _most("questions of a node's kind outside ops", asked, MOST_QUESTIONS),
        _most("copies of rules that hw.spec.isa owns", rules, 0),
        Count(
            what="fewest comments of a package",
            got=f"{share:.1%} ({name})",
            limit=f">= {LEAST:.0%}",
            holds=share >= LEAST,
            places=tuple(f"{name}: {share:.1%}" for name, share in packages),
        ),
        _most(f"files over {MOST_LINES} lines without a reason", long_files(files), 0),
    ]


def _most(what, found, most):
    return Count(what, str(len(found)), f"<= {most}", len(found) <= most, tuple(found))


def main(arguments: list[str]) -> int:
    """The exit status: 0 if all counts are within their limits, 1 if not."""
    found = counts(sources())
    for count in found:
        print(f"{count.what:41} {count.got:>22} {count.limit:>6}  {'' if count.holds else 'no'}")
        for place in count.places if "-v" in arguments or not count.holds else ():
            print(f"    {place}")
    return int(not all(count.holds for count in found))


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
