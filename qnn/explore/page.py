"""The front as one HTML page with a plot to explore it by, which needs no other file."""

import json
from pathlib import Path

from jinja2 import ChoiceLoader, Environment, PackageLoader, StrictUndefined

from qnn.explore.result import SHOWN, Found, figure_text, unit
from qnn.files import write_whole


def write_page(path: Path, found: Found) -> None:
    """Write the page, whole or not at all; the same bytes for the same result."""
    write_whole(path, page(found))


def page(found: Found) -> str:
    """The HTML text of the page."""
    environment = Environment(
        # Reports and fronts look alike.
        loader=ChoiceLoader([PackageLoader("qnn.explore", "."), PackageLoader("qnn.report", ".")]),
        # Names of layers and files are the user's, and may have angle brackets.
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    fields = found.to_fields()
    columns = [name for name in SHOWN if any(name in each.figures for each in found.front)]
    return environment.get_template("page_of_front.html").render(
        title=found.title,
        objectives=fields["objectives"],
        constraints=fields["constraints"],
        failed=fields["failed"],
        left_out=found.left_out_text,
        count=len(found.others),
        picks={name: which for which, name in fields["picks"].items()},
        columns=[
            {"name": name, "title": name.replace("_", " "), "unit": unit(name)} for name in columns
        ],
        marks={name: mark_of(found, name) for name in columns},
        designs=[
            {
                **design,
                "texts": {n: figure_text(n, each.figures[n]) for n in columns if n in each.figures},
            }
            for design, each in zip(fields["front"], found.front, strict=True)
        ],
        # What closes the script's element would end it in the middle of a name.
        data=json.dumps(fields).replace("<", "\\u003c"),
    )


def mark_of(found: Found, name: str) -> str:
    """How the numbers of a column were got, of the first design that has one."""
    return next(str(each.figures[name].mark) for each in found.front if name in each.figures)
