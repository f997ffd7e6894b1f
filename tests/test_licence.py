"""Every generated file whose language has comments names its licence; the rest is data."""

import boards
import qnn
from hw.spec.licence import SPDX
from qnn.licence import COMMENTS, licensed
from tests.compiler import small_graphs

DATA = {".bin", ".hex", ".json", ".qgraph", ".f", ".txt", ".mem"}  # nobody's text, or a list


def test_the_line_comes_first_or_behind_what_must_be_first():
    files = {
        "a.v": b"module a;\n",
        "a.sh": b"#!/bin/sh\nexit\n",
        "a.core": b"CAPI=2:\nname: a\n",
        "a.xml": b'<?xml version="1.0"?>\n<a/>\n',
        "a.h": b"int a;\n",
        "a.bin": b"\0",
    }
    assert licensed(files) == {
        "a.v": f"// {SPDX}\nmodule a;\n".encode(),
        "a.sh": f"#!/bin/sh\n# {SPDX}\nexit\n".encode(),
        "a.core": f"CAPI=2:\n# {SPDX}\nname: a\n".encode(),
        "a.xml": f'<?xml version="1.0"?>\n<!-- {SPDX} -->\n<a/>\n'.encode(),
        "a.h": f"/* {SPDX} */\nint a;\n".encode(),
        "a.bin": b"\0",
    }
    assert licensed(licensed(files)) == licensed(files)


def check(folder):
    files = [path for path in folder.rglob("*") if path.is_file()]
    assert {path.suffix for path in files} <= COMMENTS.keys() | DATA
    for path in files:
        if path.suffix in COMMENTS:
            assert SPDX in path.read_text()[:300], path
    return {path.suffix for path in files}


def test_every_file_of_a_build_names_its_licence(tmp_path):
    design = qnn.compile(small_graphs.residual(), "test")
    board = boards.reference()
    build = design.write(
        tmp_path / "build", lambda built: board.files(design.config, built, 1, board.clock_mhz)
    )
    texts = {".v", ".sv", ".svh", ".tcl", ".xdc", ".sh", ".py", ".h", ".xml", ".core", ".md"}
    texts.add(".dtso")
    assert texts <= check(build)
