import gzip
import json

import pytest

from qnn.eda.timing.paths import read_paths
from qnn.errors import PathError
from tests.eda.timing.made import path, write

NETS = (3, 4, 2, 0.25), (0, 1, 9, 0.2)


def changed(**values):
    return path(*NETS) | values


def without(key):
    return {name: value for name, value in path(*NETS).items() if name != key}


def with_hop(number, **values):
    made = path(*NETS)
    made["hops"][number] |= values
    return made


def hop_without(number, key):
    made = path(*NETS)
    del made["hops"][number][key]
    return made


@pytest.mark.parametrize("packed", [False, True])
def test_a_path_is_what_its_line_says(tmp_path, packed):
    (found,) = read_paths(write(tmp_path / "paths", [path(*NETS), ""], packed))
    assert (found.device, found.speed, found.ns) == ("xczu3eg", "-1", 0.646)
    assert found.cells_ns == pytest.approx(0.196)
    assert [(net.fan_out, net.ns, net.end) for net in found.nets] == [
        (2, 0.25, ("SLICE", 13, 24)),
        (9, 0.2, ("SLICE", 13, 25)),
    ]
    assert [net.sink for net in found.nets] == ["Prop_B6LUT_SLICEM_I2_O", "Setup_CFF_SLICEL_C_D"]


CASES = [
    ("{", "it needs JSON, not text with the fault 'Expecting property name enclosed in double"),
    ("[]", "it needs an object, not an empty list"),
    (
        json.dumps(path(*NETS)).replace("0.646", "NaN"),
        "it needs JSON, not text with the fault 'Out of range float values are not JSON compliant",
    ),
    (without("speed"), "it needs the key 'speed', not 5 others"),
    (changed(speed=1), "speed needs text, not 1"),
    (changed(data_path_ns="long"), "data_path_ns needs a finite number, not 'long'"),
    (changed(data_path_ns=0.7), "it needs hops that sum up to its data_path_ns, 0.7, not 0.646"),
    (changed(data_path_ns=0), "data_path_ns needs a time from 0.001 to 1,000,000, not 0"),
    (changed(data_path_ns=5e-324), "data_path_ns needs a time from 0.001 to 1,000,000, not 4.94"),
    (changed(data_path_ns=2e6), "data_path_ns needs a time from 0.001 to 1,000,000, not 2e+06"),
    (with_hop(1, ns=1e300), "it needs hops that sum up to its data_path_ns, 0.646, not 1e+300"),
    (changed(hops=[]), "hops needs cells and nets in turn, and a net last, not 0 hops"),
    (changed(hops=path(*NETS)["hops"][:3]), "hops needs cells and nets in turn, and a net last"),
    (changed(hops=path(*NETS)["hops"][1:3]), "hops[0] needs a cell, not the other"),
    (with_hop(1, net=0), "hops[1].net needs a fan-out of at least 1, not 0"),
    (with_hop(1, ns=-0.25), "hops[1].ns needs a time of at least 0, not -0.25"),
    (with_hop(2, at=["SLICE", 1]), "hops[2].at needs a list of 3, not ['SLICE', 1]"),
    (hop_without(1, "to"), "hops[1] needs the key 'to', not 3 others"),
    (hop_without(0, "cell"), "hops[0] needs the key 'cell', not 2 others"),
    (changed(setup=["Setup_CFF_SLICEL_C_D"]), "setup needs a list of 2, not ["),
]


@pytest.mark.parametrize(("line", "text"), CASES)
def test_a_wrong_line_is_named(tmp_path, line, text):
    file = write(tmp_path / "paths.jsonl", [path(*NETS), line])
    with pytest.raises(PathError) as refused:
        read_paths(file)
    assert str(refused.value).startswith(f"{file}: line 2: {text}")
    assert str(refused.value).endswith("; correct the file")
    assert "\n" not in str(refused.value)


@pytest.mark.parametrize("data", [b"", b"\n\n", gzip.compress(b"", mtime=0)])
def test_a_file_without_a_path_is_refused(tmp_path, data):
    file = tmp_path / "paths.jsonl"
    file.write_bytes(data)
    with pytest.raises(PathError) as refused:
        read_paths(file)
    text = "one routed path a line is needed, but there is none; correct it"
    assert str(refused.value) == f"{file}: {text}"


def test_a_file_that_was_cut_is_refused(tmp_path):
    file = tmp_path / "paths.jsonl.gz"
    whole = gzip.compress(json.dumps(path(*NETS)).encode())
    file.write_bytes(whole[:-12])
    with pytest.raises(PathError) as refused:
        read_paths(file)
    assert str(refused.value).startswith(f"{file}: cannot be unpacked ('")


def test_bytes_that_are_no_text_are_refused(tmp_path):
    file = tmp_path / "paths.jsonl"
    file.write_bytes(b"\xff\xfe\n")
    with pytest.raises(PathError) as refused:
        read_paths(file)
    assert str(refused.value).startswith(f"{file}: line 1: it needs JSON")
