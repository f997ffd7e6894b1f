"""A second back end is one folder: everything that takes a design takes its designs."""

import json
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

import boards
import qnn
import qnn.backend
from hw.spec import resources
from qnn.backend import registry
from qnn.cli.app import main
from qnn.errors import CompileError
from qnn.ir import serialize
from qnn.ir.reference import reference
from qnn.ir.text import text
from tests.compiler import small_graphs
from tests.graphs import images

BOARD = boards.reference().name
MORE = Path(__file__).parent / "more"


@pytest.fixture
def added(monkeypatch):
    """The back end of the folder beside this file, as if that lay in ``qnn/backend``."""
    monkeypatch.setattr(qnn.backend, "__path__", [*qnn.backend.__path__, str(MORE)])


@pytest.fixture
def design(added):
    return qnn.compile(small_graphs.network(), batch=1, backend="interpreter")


@pytest.fixture
def build(design, tmp_path):
    return design.write(tmp_path / "build")


@pytest.fixture
def command(added, capsys):
    """Run a command line; gives exit code, standard output and standard error."""

    def run(*arguments):
        with pytest.raises(SystemExit) as exit_:
            main([str(argument) for argument in arguments])
        return exit_.value.code or 0, *capsys.readouterr()

    return run


def test_without_more_there_is_the_array():
    assert registry.names() == ("array",)
    assert registry.named("array").name == registry.DEFAULT


def test_a_folder_adds_a_back_end(added):
    assert registry.names() == ("array", "interpreter")
    assert registry.named("interpreter").devices == ("interpreter",)


def test_every_back_end_is_called_as_its_folder(added):
    assert [registry.named(name).name for name in registry.names()] == list(registry.names())


def test_an_unknown_back_end_is_refused():
    with pytest.raises(CompileError) as error:
        qnn.compile(small_graphs.network(), backend="unrolled")
    assert str(error.value) == "back end must be one of array, not 'unrolled'"


def test_a_build_folder_gives_the_design_back(design, build):
    again = qnn.Design.read(build)
    assert again.backend is design.backend
    assert again.artifact.to_bytes() == design.artifact.to_bytes()
    assert again.config == design.config
    manifest = json.loads((build / "manifest.json").read_bytes())
    assert (manifest["backend"], manifest["config"]) == ("interpreter", {"macs": 1})
    licence, text = (build / "rtl/none.v").read_text().splitlines()
    assert (licence, text) == ("// SPDX-License-Identifier: Apache-2.0", "module none; endmodule")


def test_a_build_of_an_unknown_back_end_is_refused(build, monkeypatch):
    monkeypatch.setattr(qnn.backend, "__path__", qnn.backend.__path__[:1])
    with pytest.raises(CompileError) as error:
        qnn.Design.read(build)
    assert str(error.value) == (
        f"{build}: a build of back end 'interpreter', but this qnn has array; compile the model "
        f"again"
    )


def test_it_simulates(design):
    x = images(design.graph, 3)
    run = qnn.simulate(design, x)
    assert (run.device, run.cycles) == (
        "interpreter",
        (sum(design.artifact.cycles().values()),) * 3,
    )
    (output,) = design.graph.outputs
    wanted = reference(design.graph, x)[output.name]
    np.testing.assert_array_equal(run.outputs[0].reshape(wanted.shape), wanted)


def test_it_has_no_device_of_another(design):
    x = images(design.graph, 1)
    with pytest.raises(ValueError, match="simulate") as error:
        qnn.simulate(design, x, "rtl")
    assert str(error.value) == ("simulate: device must be one of reference, interpreter, not 'rtl'")
    with pytest.raises(ValueError, match="verify") as error:
        qnn.verify(design, x, "rtl")
    assert str(error.value) == "verify: device must be one of interpreter, not 'rtl'"


def test_it_is_verified(design):
    report = qnn.verify(design, images(design.graph, 2))
    assert report.passed, str(report)
    assert report.device == "interpreter"
    layers = [node.name for node in design.graph.nodes if node.is_computed]
    outputs = [output.name for output in design.graph.outputs]
    assert [layer.name for layer in report.layers] == [*layers * 2, *(o for o in outputs * 2)]


def test_a_wrong_value_is_named_by_layer_and_place(design):
    name = next(node.name for node in design.graph.nodes if node.is_computed)
    backend = replace(design.backend, wrong=(name, 1, 2, 3, 1))
    x = images(design.graph, 2)
    value = int(reference(design.graph, x)[name][1, 2, 3, 1])
    report = qnn.verify(replace(design, backend=backend), x)
    assert not report.passed
    assert (report.mismatches, report.first_layer) == (1, name)
    assert str(report.first) == (
        f"layer '{name}', image 1, channel 2, row 3, column 1: expected {value}, got {value + 1}"
    )


def test_a_layer_that_is_not_computed_is_named(design, monkeypatch):
    last = design.graph.outputs[0].name, 1
    run = type(design.backend).run

    def without_last(self, *arguments, **options):
        execution = run(self, *arguments, **options)
        return replace(
            execution, parts=tuple(p for p in execution.parts if (p.name, p.image) != last)
        )

    monkeypatch.setattr(type(design.backend), "run", without_last)
    report = qnn.verify(design, images(design.graph, 2))
    assert report.first_layer == last[0]
    assert report.layers[-1].problem == "the image does not compute it"
    assert report.layers[-1].image == 1


def test_a_tensor_of_another_shape_is_found(design, monkeypatch):
    run = type(design.backend).run

    def cut(self, *arguments, **options):
        execution = run(self, *arguments, **options)
        first, *rest = execution.parts
        return replace(execution, parts=(replace(first, values=first.values[..., None, :]), *rest))

    monkeypatch.setattr(type(design.backend), "run", cut)
    report = qnn.verify(design, images(design.graph, 1))
    name = next(node.name for node in design.graph.nodes if node.is_computed)
    assert str(report).splitlines()[1] == (
        f"  layer '{name}', image 0: the image has values of shape (8, 8, 1, 7) of it, which do "
        f"not lie in its (8, 8, 7)"
    )


def test_the_command_line_takes_its_builds(command, tmp_path):
    path, build, data = (tmp_path / name for name in ("model.qgraph", "build", "data.npz"))
    x, y = np.zeros((4, 8, 7, 3), np.uint8), np.zeros(4, np.int64)
    np.savez(data, x_train=x, y_train=y, x_test=x, y_test=y)
    plain = small_graphs.network()
    (given,) = plain.inputs
    pixels = np.tile(np.arange(256) - 128, (3, 1))
    graph = replace(plain, nodes=(replace(given, table=pixels), *plain.nodes[1:]))
    serialize.save(graph, path)
    arguments = ("compile", path, "-o", build, "--backend", "interpreter", "--set", "macs=4")
    code, out, err = command(*arguments)
    assert (code, err) == (0, "")
    layers = sum(node.is_computed for node in graph.nodes)
    assert out.startswith(f"{build}: {layers} layers for 4 products a cycle; ")
    assert command("show", build) == (0, text(graph) + "\n", "")
    code, out, err = command("check", path, "--backend", "interpreter")
    assert (code, err, out.splitlines()[-1]) == (0, "", "fits 1 products a cycle")
    for verb in ("simulate", "verify"):
        code, out, err = command(verb, build, "--data", data, "--json")
        assert (code, err) == (0, "")
        assert json.loads(out)["device"] == "interpreter"
    code, out, _ = command("report", build)
    assert code == 0
    assert "4 products a cycle" in (build / "report/index.html").read_text()


@pytest.mark.parametrize("verb", [("run", "--device", "rtl:"), ("synth",)])
def test_what_is_of_the_array_refuses_its_builds(command, build, verb):
    name, *options = verb
    assert command(name, build, *options) == (
        3,
        "",
        f"error: {build}: 'qnn {name}' needs a build of back end 'array', but this is of "
        f"'interpreter'; compile the model for that\n",
    )


def test_a_board_holds_its_own_back_end_only(command, tmp_path):
    path = tmp_path / "model.qgraph"
    serialize.save(small_graphs.network(), path)
    code, out, err = command("compile", path, "--backend", "interpreter", "--board", BOARD)
    assert (code, out) == (2, "")
    assert err.endswith(
        f"Invalid value: board {BOARD} holds designs of back end 'array', not of 'interpreter'\n"
    )


def test_a_device_that_a_build_has_not_is_wrong_usage(command, build):
    code, out, err = command("verify", build, "--device", "rtl")
    assert (code, out) == (2, "")
    assert err.endswith("Invalid value: --device must be one of interpreter, not 'rtl'\n")


def test_the_array_estimates_its_cells():
    design = qnn.compile(small_graphs.network())
    estimate = design.backend.estimate(design.artifact)
    assert estimate.cells["lut"] == resources.total(design.config).lut > 0
    multiply = qnn.compile(
        small_graphs.network(),
        design.backend.configure(design.graph, "test", {"pe": "multiply", "weight_bits": 8}),
    )
    assert multiply.backend.estimate(multiply.artifact).cells == {}


def test_a_file_of_another_back_end_is_refused(design):
    data = design.artifact.to_bytes()
    with pytest.raises(CompileError) as error:
        registry.named("array").read(data, "image.bin")
    assert str(error.value) == "image.bin: not a qnn image; write one with 'qnn compile'"
