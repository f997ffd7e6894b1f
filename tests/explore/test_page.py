"""The page of a front: what it tells, and its plot in a browser."""

import re
import shutil
import subprocess
from dataclasses import replace

import pytest

from qnn.explore.evaluation import Evaluated, Fidelity
from qnn.explore.goals import Goals
from qnn.explore.page import page
from qnn.explore.result import SHOWN, Found
from tests.explore.landscape import judged, state
from tests.report.page_reader import read, unmarked

BROWSER = shutil.which("chromium")
OPTIONS = ("--headless", "--no-sandbox", "--disable-gpu", "--disable-background-networking")
# Chosen and clicked on as a user would, after which the page is as it stays.
USED = """<script>
const up = document.getElementById("up");
up.value = "cycles";
up.dispatchEvent(new Event("change"));
document.querySelector("#plot circle.front").dispatchEvent(new MouseEvent("click"));
document.title = document.querySelectorAll("#plot circle").length;
</script></body>"""


def found(left_out: int = 0, fidelity: Fidelity = Fidelity.FULL) -> Found:
    """Six designs, of which two are the front, of a network whose name looks like markup."""
    where = state()
    designs = [judged(where.space, vector) for vector in where.drawn(where.random(), 6)]
    names = {each.point.key: f"{number:08x}" for number, each in enumerate(designs)}
    return Found(
        title="</script><b>net",
        goals=Goals(("accuracy", "fps", "lut")),
        front=[replace(each, fidelity=fidelity) for each in designs[:2]],
        others=[*designs, Evaluated(designs[0].point, Fidelity.QUICK, failure="it has no room")],
        command=lambda each: f"qnn quantize {names[each.point.key]}",
        name=lambda each: names[each.point.key],
        left_out=left_out,
    )


def test_what_is_left_out_is_told_by_the_page_and_its_data():
    whole, some = found(), found(left_out=3)
    assert whole.left_out_text == ""
    assert "left out" not in page(whole)
    assert some.left_out_text == (
        "left out: 3 designs of the front that were compared and not made in full"
    )
    text = page(some)
    (told,) = (e for e in read(text).all("p") if e.attributes.get("id") == "left-out")
    assert some.left_out_text in told.text
    assert unmarked(text.replace("<script", "<style").replace("</script", "</style")) == []
    assert some.to_fields()["left_out"] == 3


def test_a_front_of_which_nothing_was_made_in_full_says_so():
    assert found(left_out=2, fidelity=Fidelity.QUICK).left_out_text == (
        "none of these was made in full: they are as they were compared, and cannot be picked"
    )


def rendered(path):
    """The page as a browser has it when its scripts have run."""
    where = (f"--user-data-dir={path.parent / 'profile'}", "--dump-dom", path.as_uri())
    done = subprocess.run(
        [BROWSER, *OPTIONS, *where], capture_output=True, text=True, timeout=300, check=True
    )
    return done.stdout


@pytest.mark.slow
@pytest.mark.skipif(BROWSER is None, reason="chromium is not installed")
def test_the_plot_is_drawn_and_used_in_a_browser(tmp_path):
    path = tmp_path / "front.html"
    path.write_text(page(found()))
    seen = read(rendered(path))
    dots = list(seen.all("circle"))
    # All six as they were compared, and two of them again in full.
    assert sorted(each.attributes["class"] for each in dots) == ["front"] * 2 + ["other"] * 6
    for each in dots:
        assert 70 <= float(each.attributes["cx"]) <= 880
        assert 12 <= float(each.attributes["cy"]) <= 380
    names = {each.text for each in seen.all("option")}
    assert {"accuracy", "fps", "lut"} <= names <= {name.replace("_", " ") for name in SHOWN}
    assert next(seen.all("h1")).text == "</script><b>net"

    path.write_text(page(found()).replace("</body>", USED))
    used = read(rendered(path))
    assert next(used.all("title")).text == "8"
    about = next(each for each in used.all("p") if each.attributes.get("id") == "about")
    assert re.match(r"[0-9a-f]{8}: .*; terms .*, cycles [0-9,.]+ \(simulated\)", about.text)
    chosen = {each.tag for each in used.all() if "chosen" in each.classes}
    assert chosen == {"circle", "tr"}
