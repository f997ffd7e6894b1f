"""Each network of a list has a row, whatever it does, and none is measured twice."""

import json
from dataclasses import replace
from pathlib import Path

import pytest
import torch
from torch import nn

from qnn.bench.core_clock import rate_clock
from qnn.bench.zoo import table
from qnn.bench.zoo.build import build
from qnn.bench.zoo.campaign import ZooCampaign, ZooLimits, read_rows
from qnn.bench.zoo.listed import ListedNetwork
from qnn.bench.zoo.measure import ZooSettings, measure
from qnn.bench.zoo.noise import noise_left
from qnn.bench.zoo.row import ZooRow
from qnn.bench.zoo.table import markdown, page, summary
from qnn.errors import ModelError
from qnn.frontend.capture import capture

MODULE = "tests.bench.zoo.listed_networks"
ROOT = Path(__file__).resolve().parents[3]
LIMITS = ZooLimits(seconds=60, memory_mebibytes=16384)


def network(factory, *shape):
    return ListedNetwork("made", MODULE, factory, (shape or (1, 8, 8),))


def campaign(*networks, limits=LIMITS):
    return ZooCampaign(networks, Path(), "test", 1, limits)


def silent(done, count):
    pass


def test_a_network_is_built_with_the_same_weights_each_time():
    one, other = (build(network("taken"), Path()) for _ in range(2))
    for name, tensor in one.state_dict().items():
        assert torch.equal(tensor, other.state_dict()[name]), name
    # As if trained: a fresh BatchNorm has ones and zeros.
    assert one[1].weight.std() > 0.01
    assert one[1].bias.std() > 0.01
    assert not torch.equal(one[1].running_var, torch.ones(4))
    assert one[1].momentum == 0.1
    assert not one.training


@pytest.mark.parametrize(("name", "said"), [("tv", "torchvision"), ("cv", "pytorchcv")])
def test_a_library_that_is_not_there_is_named(monkeypatch, name, said):
    monkeypatch.setitem(__import__("sys").modules, said, None)
    with pytest.raises(ModelError, match=f"model '{name}:net' cannot be built: .*{said}"):
        build(ListedNetwork("made", name, "net", ((3, 8, 8),)), Path())


@pytest.mark.processes
def test_every_network_has_a_row_and_is_measured_once(tmp_path):
    out = tmp_path / "zoo.jsonl"
    names = ("taken", "Lacking", "prints", "hoards", "dies")
    whole = campaign(*map(network, names))
    first = whole.run(out, 2, silent)
    taken, lacking, prints, hoards, dies = first
    for row in (taken, prints):
        assert row.passed
        assert (row.accepted, row.lacks, row.mismatches, row.values) == (True, [], 0, 288)
        assert row.fidelity_db > 30
        assert row.noise_db is None
        assert row.cycles > 0
        assert row.seconds == pytest.approx(sum(row.part_seconds.values()), abs=1e-3)
        assert list(row.part_seconds) == [
            *("build", "capture", "fidelity", "quantize", "compile", "verify")
        ]
    assert lacking.lacks == ["aten.sort: is not supported"]
    assert "memory" in hoards.lacks[0]
    assert dies.lacks == ["its process ended with 7"]
    assert not any(row.accepted or row.passed for row in (lacking, hoards, dies))
    # A killed run leaves half a line; the rows before it stand.
    lines = out.read_text().splitlines(keepends=True)
    out.write_text("".join(lines[:-1]) + lines[-1][:20])
    # Measured again it would hang: known rows are taken from the file.
    done = []
    again = whole.run(out, 1, lambda now, count: done.append((now, count)))
    assert done == [(4, 5), (5, 5)]
    assert [row.name for row in again] == [row.name for row in first]
    assert json.loads(lines[0]) in [row.to_fields() for row in again]
    assert summary(again) == {
        **{"networks": 5, "accepted": 2, "verified": 2, "unfit": 0, "different": 0}
    }
    assert f"| `{MODULE}:Lacking` | no: aten.sort: is not supported (capture) |" in markdown(again)


@pytest.mark.processes
def test_a_network_that_hangs_is_ended(tmp_path):
    row = campaign(network("hangs"), limits=ZooLimits(8, 16384)).run(tmp_path / "z", 1, silent)[0]
    assert (row.accepted, row.lacks, row.ended_in) == (False, ["needs more than 8 s"], "build")


def test_what_the_rounding_of_weights_takes_of_a_low_fidelity_is_told():
    told = {}
    measure(network("cancels"), ZooSettings(Path(), "test", 1), lambda **parts: told.update(parts))
    assert told["fidelity_db"] < 30
    assert told["most_terms_db"] > told["fidelity_db"] + 10
    assert told["noise_db"] < 30


def test_noise_that_grows_on_the_way_is_the_networks_own():
    torch.manual_seed(0)
    x = torch.randn(4, 2, 6, 6)
    calm = nn.Sequential(nn.Conv2d(2, 2, 1), nn.ReLU())
    # Two channels that are nearly the same: of their difference little is left, of noise all.
    offset = nn.Sequential(nn.Conv2d(2, 2, 1), nn.ReLU(), nn.Conv2d(2, 2, 1))
    with torch.no_grad():
        offset[2].weight.copy_(torch.tensor([[1.0, -1.0], [0.5, -0.5]])[:, :, None, None])
        offset[0].weight[1] = offset[0].weight[0] * 1.001
        offset[0].bias.fill_(5.0)
        offset[2].bias.zero_()
    # A signal has a mean too, which noise is not measured by.
    assert noise_left(capture(calm, x), (x,)) > 60
    assert noise_left(capture(offset, x), (x,)) < 40


def test_the_page_has_what_each_row_has_and_why_fidelity_is_low(monkeypatch):
    clock = replace(rate_clock(), low_mhz=250.0)
    monkeypatch.setattr(table, "rate_clock", lambda: clock)
    definition = {"config": "reference"}
    taken = ZooRow("tv:a", "small", accepted=True, fidelity_db=41.25, values=1200, mismatches=0)
    taken.cycles, taken.utilisation, taken.seconds = 500_000, 0.125, 7.4
    low = ZooRow("tv:b", "small", accepted=True, fidelity_db=12.0, unfit="no | room")
    low.most_terms_db, low.noise_db = 30.25, 20.5
    lacking = ZooRow("tv:c", "large", ended_in="capture")
    lacking.lacks = ["aten.sort: is not supported", "aten.sort: needs one axis", "aten.eq: no"]
    for row in (taken, low, lacking):
        row.commit, row.definition = "0123abcd", definition
    # A network that was measured again has its newest row alone.
    text = page([ZooRow("tv:a", "small"), taken, low, lacking])
    assert text.endswith(
        """\
Of 3 networks, 2 are taken. Of these, 1 are verified in every value, 1 have no room in the \
configuration, and 0 differ. Configuration: reference. Commits: 0123abcd.

Below 30 dB of fidelity; what there is with seven terms of each weight instead of four, so that
what is missing from it is the weights' rounding; and what the float network itself keeps of 60 dB
when the results of each layer are disturbed so little:

- `tv:b`: 12.0 dB; 30.2 dB with seven terms; it keeps 20.5 of 60 dB

## small

| network | taken | fidelity (dB) | values, of which differ | cycles | array busy | images/s | \
seconds |
| --- | --- | --: | --: | --: | --: | --: | --: |
| `tv:a` | yes | 41.2 | 1,200, 0 | 500,000 | 12 % | 500 | 7 |
| `tv:b` | yes: no \\| room | 12.0 |  |  |  |  | 0 |

## large

| network | taken | fidelity (dB) | values, of which differ | cycles | array busy | images/s | \
seconds |
| --- | --- | --: | --: | --: | --: | --: | --: |
| `tv:c` | no: aten.sort: is not supported (and 1 more); aten.eq: no (capture) |  |  |  |  |  | 0 |
"""
    )


def test_the_page_of_networks_is_that_of_the_results():
    kept = read_rows(ROOT / "results/models.jsonl")
    assert len(kept) > 30
    assert (ROOT / "docs/models.md").read_text() == page(kept), (
        "run: qnn bench zoo --table results/models.jsonl > docs/models.md"
    )


def test_rows_of_other_settings_are_not_taken(tmp_path):
    out, here = tmp_path / "zoo.jsonl", campaign(network("taken"))
    row = {"name": f"{MODULE}:taken", "family": "made", "definition": {"terms": 2}}
    out.write_text(json.dumps(row) + "\n")
    assert here.known(out) == {}
    out.write_text(json.dumps(row | {"definition": here.definition(network("taken"))}) + "\n")
    assert list(here.known(out)) == [f"{MODULE}:taken"]


def test_a_line_that_is_no_row_is_named(tmp_path):
    out = tmp_path / "zoo.jsonl"
    out.write_text("[]\n")
    with pytest.raises(ModelError) as error:
        campaign(network("taken")).known(out)
    assert str(error.value) == (
        f"results {out} need one network a line, but line 1 is none; remove it, or choose another "
        f"file with --out"
    )
