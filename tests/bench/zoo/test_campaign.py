"""Each network of a list has a row, whatever it does, and none is measured twice."""

import json
from pathlib import Path

import pytest
import torch

from qnn.bench.zoo.build import build
from qnn.bench.zoo.campaign import ZooCampaign, ZooLimits
from qnn.bench.zoo.listed import ListedNetwork
from qnn.bench.zoo.table import markdown, summary
from qnn.errors import ModelError

MODULE = "tests.bench.zoo.listed_networks"
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
