"""The Verilog of a build: nothing in it may leave the simulation, however it is written."""

import hashlib
import json

import pytest

from hw.spec.config import named_config
from hw.verilog import mapped_files, verilog
from qnn.design import Design, compile
from qnn.errors import CompileError
from qnn.verilog_words import check_words
from tests.compiler import small_graphs

RUN = '$system("touch x")'
HOSTILE = {
    RUN: "$system",
    'initial $c("exit(0);");': "$c",
    'f = $fopen("x");': "$fopen",
    '$readmemh("/dev/zero", m);': "$readmemh",
    "$signedness(1)": "$signedness",
    '`include "/etc/passwd"': "`include",
    "`systemc_header": "`systemc_header",
    'import "DPI-C" function int system(input string s);': "import",
    # What looks like the inside of a string, of a comment or of a name, and is none.
    f'"a\\\\"{RUN}': "$system",
    f'"\n{RUN}': "$system",
    f'"""" """ {RUN} "': '"""',
    f"// a\r{RUN}": "$system",
    f"// a\n{RUN}": "$system",
    f"/* a */{RUN}": "$system",
    f"/* a {RUN}": "$system",
    f"\\a {RUN}": "$system",
    f"\\a\b{RUN}": "$system",
    f"\\a\xe9{RUN}": "$system",
    f"\\a/* {RUN} */": "$system",
}
HARMLESS = (
    "$signed(a)",
    f"// {RUN}",
    f"/* `include\n{RUN} */",
    '(* src = "a $system" *)',
    '"\\"$system"',
    "\\$system ",
    "\\a`b$c ",
)


@pytest.mark.parametrize("text", HOSTILE)
def test_what_leaves_the_simulation_is_refused_by_its_name(text):
    data = f"module a;\n{text}\nendmodule\n".encode("latin-1")
    with pytest.raises(CompileError) as refused:
        check_words({"rtl/a.v": data}, "build")
    assert str(refused.value) == (
        f"build/rtl/a.v: Verilog of a build calls $signed alone, but this has '{HOSTILE[text]}'; "
        f"compile the model again"
    )


@pytest.mark.parametrize("text", HARMLESS)
def test_what_no_simulator_runs_is_taken(text):
    check_words({"rtl/a.v": text.encode()}, "build")


def test_files_that_no_simulator_reads_are_left_alone():
    check_words({"vivado/a.tcl": b"$name", "image.bin": RUN.encode()}, "build")


@pytest.mark.parametrize("sizes", [{}, {"epilogue_words": 2, "weight_bits": 5}])
def test_all_of_our_verilog_is_taken(sizes):
    config = named_config("test", **sizes)
    texts = [*verilog(config).values(), *mapped_files(config).values()]
    assert any("$signed" in text for text in texts)
    check_words({f"rtl/{n}.v": text.encode() for n, text in enumerate(texts)}, "build")


def test_a_build_with_the_right_hash_of_hostile_verilog_is_not_read(tmp_path):
    build = compile(small_graphs.network()).write(tmp_path / "build")
    path = build / "rtl/qnn_pick.v"
    path.write_text(path.read_text().replace("endmodule", f"initial {RUN};\nendmodule"))
    manifest = json.loads((build / "manifest.json").read_text())
    manifest["files"]["rtl/qnn_pick.v"] = hashlib.sha256(path.read_bytes()).hexdigest()
    (build / "manifest.json").write_text(json.dumps(manifest))
    with pytest.raises(CompileError, match=r"rtl/qnn_pick\.v: .* but this has '\$system'; "):
        Design.read(build)
