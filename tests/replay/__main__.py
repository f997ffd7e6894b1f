"""Build every artifact of a fixed set and compare it with the accepted ones.

``python -m tests.replay`` builds all, ``--quick`` a part in under a minute, and names only what
begins so: ``python -m tests.replay builds/zoo/resnet8 configs/test``. ``--accept`` takes what was
built as right: its diff belongs to the commit. ``--against TREE`` builds what differs in another
checkout too and shows the difference.
"""

import argparse
import sys
from pathlib import Path

from tests.replay import accepted
from tests.replay.against import difference, shown_there, write_shown
from tests.replay.pool import replay

SHOWN = 3  # artifacts whose difference is shown


def main() -> int:
    """The exit status: 0 if all is as accepted, 1 if not."""
    options = _options()
    artifacts = replay(options.quick, options.names, options.jobs)
    if options.write:
        write_shown(artifacts, options.write)
        return 0
    built = {name: artifact.summary for name, artifact in artifacts.items()}
    whole = not options.quick and not options.names
    before = accepted.read()
    changes = accepted.compare(before, built, whole)
    for name in changes.differ:
        print(accepted.told(name, before[name], built[name]))
    for name in changes.missing:
        print(f"{name}: not built any more")
    for name in changes.new:
        print(f"{name}: new, {built[name]}")
    counts = ((len(changes.differ), "differ"), (len(changes.missing), "are missing"))
    told = ", ".join(f"{count} {what}" for count, what in (*counts, (len(changes.new), "are new")))
    print(f"{len(built)} artifacts built: {told}")
    if options.against and changes.differ:
        _show(options, changes.differ[:SHOWN], artifacts)
    if options.accept:
        accepted.write(built if whole else before | built)
        return 0
    return 1 if changes else 0


def _show(options, names, artifacts):
    jobs = sorted({job_of(name) for name in names})
    there = shown_there(options.against.resolve(), jobs, options.jobs)
    for name in names:
        print(difference(name, there.get(name, ""), artifacts[name].shown))


def job_of(name: str) -> str:
    """The job that builds an artifact, of which all names have so many parts."""
    parts = {"networks": 3, "configs": 2, "builds": 4, "boards": 4}
    job = "/".join(name.split("/")[: parts[name.partition("/")[0]]])
    return job.removesuffix(".qgraph").removesuffix(".txt")


def _options():
    parser = argparse.ArgumentParser(prog="python -m tests.replay", description=__doc__)
    parser.add_argument("names", nargs="*", help="jobs to do, by the beginning of their names")
    parser.add_argument("--quick", action="store_true", help="a part that takes a minute")
    parser.add_argument("--accept", action="store_true", help="rewrite the accepted list")
    parser.add_argument("--against", type=Path, help="another checkout, to show how things differ")
    parser.add_argument("--jobs", type=int, default=2, help="processes")
    parser.add_argument("--write", type=Path, help="write shown texts to a folder; compare nothing")
    return parser.parse_args()


if __name__ == "__main__":
    sys.exit(main())
