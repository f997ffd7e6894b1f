"""A build folder's manifest says what the folder is, and never makes its reader leave it."""

import json
import os
import shutil
import tracemalloc

import pytest

from qnn.design import Design, altered_files, compile
from qnn.errors import CompileError
from qnn.files import MOST_NOTE_BYTES
from tests.compiler import small_graphs


@pytest.fixture(scope="module")
def written(tmp_path_factory):
    return compile(small_graphs.one_conv()).write(tmp_path_factory.mktemp("manifest") / "build")


@pytest.fixture
def built(written, tmp_path):
    return shutil.copytree(written, tmp_path / "build")


def alter(built, **changes):
    path = built / "manifest.json"
    manifest = json.loads(path.read_text())
    path.write_text(json.dumps(manifest | changes))
    return manifest


def refusal(built):
    with pytest.raises(CompileError) as error:
        Design.read(built)
    return str(error.value)


@pytest.mark.parametrize("name", ["../secret", "/etc/passwd", "rtl/../../secret", ".", "a//b", ""])
def test_a_name_outside_the_folder_is_never_opened(built, name):
    (built.parent / "secret").write_text("secret")
    files = alter(built)["files"]
    alter(built, files=files | {name: "0"})
    assert refusal(built) == (
        f"{built / 'manifest.json'}: files needs names of files inside the folder, not "
        f"{name!r}; compile the model again"
    )


@pytest.mark.parametrize("kind", ["link", "circle", "pipe", "folder", "device"])
def test_what_is_no_file_of_the_folder_counts_as_missing_and_nothing_waits(built, kind):
    name, path = "rtl/qnn_pe.v", built / "rtl/qnn_pe.v"
    content = path.read_bytes()
    path.unlink()
    (built.parent / "outside").write_bytes(content)
    make = {
        "link": lambda: path.symlink_to(built.parent / "outside"),
        "circle": lambda: path.symlink_to(path),
        "pipe": lambda: os.mkfifo(path),
        "folder": path.mkdir,
        "device": lambda: path.symlink_to("/dev/zero"),
    }
    make[kind]()
    assert altered_files(built) == [name]
    assert refusal(built) == (
        f"{path}: missing or altered since it was built; compile the model again"
    )


def test_a_link_that_stays_in_the_folder_is_followed(built):
    path = built / "rtl/qnn_pe.v"
    path.rename(built / "elsewhere.v")
    path.symlink_to(built / "elsewhere.v")
    assert altered_files(built) == []


@pytest.mark.parametrize(
    ("changes", "text"),
    [
        ({"tools": 5}, "tools needs an object, not 5"),
        ({"batch": "1"}, "batch needs a whole number of 64 bits, not '1'"),
        ({"backend": None}, "backend needs text, not None"),
        ({"files": {"image.bin": 3}}, "files.image.bin needs text, not 3"),
    ],
)
def test_a_field_of_another_kind_is_named(built, changes, text):
    alter(built, **changes)
    assert refusal(built) == f"{built / 'manifest.json'}: {text}; compile the model again"


def test_a_manifest_of_gigabytes_is_none_and_is_never_held_in_memory(built):
    with (built / "manifest.json").open("wb") as file:
        file.truncate(3 << 30)
    tracemalloc.start()
    assert refusal(built) == (
        f"{built}: not a build folder; make one with 'qnn compile' or Design.write"
    )
    assert tracemalloc.get_traced_memory()[1] < 3 * MOST_NOTE_BYTES
    tracemalloc.stop()


@pytest.mark.parametrize("name", ["fingerprint", "batch", "config"])
def test_a_manifest_that_says_something_else_than_its_image_is_refused(built, name):
    alter(built, **{name: 7})
    assert refusal(built) == (
        f"{built}: its manifest's {name} is not that of its image.bin; compile the model again"
    )
