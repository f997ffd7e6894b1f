"""Hostile and broken files of programs: each is rejected in one line, and nothing in it runs."""

import io
import json
import os
import zipfile
from contextlib import suppress

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import nn

from qnn.errors import QnnError
from qnn.frontend.capture import capture
from qnn.frontend.faults import FaultyModel
from qnn.frontend.pt2.read import from_pt2
from tests.frontend.pt2.networks import (
    IMAGES,
    WRITTEN,
    Made,
    Residual,
    alter,
    members,
    program_name,
    save,
    write,
)


@pytest.fixture(scope="module")
def saved(tmp_path_factory):
    """A file that is right."""
    return save(tmp_path_factory.mktemp("saved") / "x.pt2", Residual())


@pytest.fixture
def path(saved, tmp_path):
    """A copy of it, which a test changes."""
    copy = tmp_path / "model.pt2"
    copy.write_bytes(saved.read_bytes())
    return copy


def refusal(path):
    with pytest.raises(QnnError) as caught:
        from_pt2(path)
    text = str(caught.value)
    assert "\n" not in text
    return text.replace(str(path), "FILE")


AGAIN = "export it again, or copy all of it"


def script(path):
    torch.jit.trace(Residual(), (IMAGES,)).save(path)


def weights(path):
    torch.save(Residual().state_dict(), path)


def compiled(path):
    write(path, {"x/data/aotinductor/model/a.so": b"", "x/archive_format": b"pt2"})


def bomb(path):
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr("models/model.json", bytes(10_000_000))


OTHER = "FILE: needs to be a program of torch.export, not"
FILES = {
    "TorchScript": (
        script,
        f"{OTHER} TorchScript, which holds code; give the module that it was scripted or traced "
        "from, as module:factory, or export that with torch.export",
    ),
    "weights": (
        weights,
        f"{OTHER} a checkpoint of weights; give its model as module:factory, and the file with "
        "--checkpoint",
    ),
    "a compiled program": (
        compiled,
        f"{OTHER} compiled by AOTInductor; save the program that it was compiled from, with "
        "torch.export.save",
    ),
    "another archive": (
        lambda path: write(path, {"a": b"b"}),
        f"FILE: needs one program of torch.export, not none; {AGAIN}",
    ),
    "two programs": (
        lambda path: write(path, {"x/models/a.json": b"{}", "x/models/b.json": b"{}"}),
        f"FILE: needs one program of torch.export, not 2 of them; {AGAIN}",
    ),
    "no archive": (
        lambda path: path.write_bytes(b"nothing"),
        f"FILE: no archive of PyTorch, or cut short; {AGAIN}",
    ),
    "no file": (
        lambda path: path.unlink(),
        "FILE: cannot be read ('No such file or directory'); correct the path",
    ),
    "zeros": (bomb, f"FILE: its members would take 10,000,000 bytes; {AGAIN}"),
    "no JSON": (
        lambda path: write(path, {"x/models/model.json": b"["}),
        f"FILE: a program's 'models/model.json' needs to be JSON; {AGAIN}",
    ),
    "lists in lists": (
        lambda path: write(path, {"x/models/model.json": b"[" * 100_000}),
        f"FILE: a program's 'models/model.json' needs to be JSON; {AGAIN}",
    ),
    "another schema": (
        lambda path: alter(path, lambda program: program.update(schema_version={"major": 9})),
        "FILE: a program needs schema 8, which torch 2.6 and newer write, not 9; export it again "
        "with such a release",
    ),
    "no graph": (
        lambda path: alter(path, lambda program: program.pop("graph_module")),
        "FILE: a program needs its parts as torch.export writes them, but has others (at "
        f"'graph_module'); {AGAIN}",
    ),
}


@pytest.mark.filterwarnings("ignore")
@pytest.mark.parametrize("kind", FILES)
def test_what_is_no_program_is_refused_by_what_it_is(kind, path):
    make, text = FILES[kind]
    make(path)
    assert refusal(path) == text


def nodes(program):
    return program["graph_module"]["graph"]["nodes"]


TARGETS = (
    "torch.load",
    "torch.hub.load",
    "builtins.eval",
    "os.system",
    "_operator.pow",
    "_operator.call",
    "math.factorial",
    "torch.ops.aten.from_file.default",
    "torch.ops.aten.set_.source_Storage",
    "torch.ops.aten._embedding_bag.default",
    "torch.ops.aten.__class__.default",
    "torch.ops.aten.relu.__init__",
    "torch.ops.aten.nothing.default",
    "torch.ops.load_library",
    "torch.ops.inductor._reinterpret_tensor.default",
    "torch.ops.higher_order.cond",
    "torch.ops.mine.op.default",
    "torch.ops.aten.relu.default\n",
    "",
)


@pytest.mark.parametrize("target", TARGETS)
def test_only_operators_of_aten_that_compute_are_called(target, path):
    alter(path, lambda program: nodes(program)[2].update(target=target))
    with pytest.raises(FaultyModel, match="is no operator that is read from a file; give the mod"):
        from_pt2(path)


def test_all_calls_that_are_not_read_are_told_with_their_layers_and_lines(path):
    def change(program):
        for call in nodes(program):
            if "linear" in call["target"] or "relu" in call["target"]:
                call["target"] = "torch.ops.mine.op.default"

    alter(path, change)
    with pytest.raises(FaultyModel) as caught:
        from_pt2(path)
    sites = [fault.site for fault in caught.value.faults]
    assert {site.operator for site in sites} == {"mine.op"}
    assert {site.path for site in sites} == {"", "first", "second"}
    assert all(site.source.startswith("networks.py:") for site in sites)


class Marker:
    """An object that leaves a file behind where it is unpickled."""

    def __init__(self, place):
        self.place = place

    def __reduce__(self):
        return (os.mkdir, (str(self.place),))


def pickled(place):
    buffer = io.BytesIO()
    torch.save({"first.weight": Marker(place)}, buffer)
    return buffer.getvalue()


def in_constants(content, name, place):
    config = json.loads(content[name])
    entry = {"path_name": "opaque_obj_0", "is_param": False, "use_pickle": True}
    config["config"]["x"] = entry | {"tensor_meta": None}
    folder = name.rpartition("/")[0]
    held = {f"{folder}/opaque_obj_0": pickled(place)}
    return content | {name: json.dumps(config), **held}


def in_weights(content, name, place):
    config = json.loads(content[name])
    config["config"]["first.weight"]["use_pickle"] = True
    path = config["config"]["first.weight"]["path_name"]
    return content | {
        name: json.dumps(config),
        f"{name.rpartition('/')[0]}/{path}": pickled(place),
    }


def old(content, place):
    """The form of torch 2.6, whose tensors are in one dictionary."""
    return {
        "serialized_exported_program.json": content[program_name(content)],
        "serialized_state_dict.pt": pickled(place),
        "serialized_constants.pt": b"",
    }


def test_nothing_is_unpickled(path, tmp_path):
    # The newest form, which every release reads.
    content = members(next(path for path in WRITTEN if "2.15" in path.name))
    places = {
        "old": old(content, tmp_path / "mark"),
        "constants": in_constants(
            content, _member(content, "model_constants_config.json"), tmp_path / "mark"
        ),
        "weights": in_weights(
            content, _member(content, "model_weights_config.json"), tmp_path / "mark"
        ),
        "inputs": content
        | {_member(content, "sample_inputs/model.pt"): pickled(tmp_path / "mark")},
    }
    for kind, each in places.items():
        write(path, each)
        if kind == "inputs":
            from_pt2(path)  # which nobody looks at
        else:
            assert "only code could read" in refusal(path)
        assert not (tmp_path / "mark").exists()
    # The mark is one that code would leave.
    torch.load(io.BytesIO(pickled(tmp_path / "mark")), weights_only=False)
    assert (tmp_path / "mark").exists()


def _member(content, end):
    return next(name for name in content if name.endswith(end))


def renamed(program, before, after):
    text = json.dumps(program["graph_module"]).replace(json.dumps(before), json.dumps(after))
    program["graph_module"] = json.loads(text)


MARK = "__import__('os').mkdir('MARK')"
CODE = f"x): {MARK}\n    return (x"


@pytest.mark.parametrize("name", [CODE, "class", "self", "a b", "", "\u0445\u0301", "1"])
def test_names_of_inputs_are_no_code(name, path, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    alter(path, lambda program: renamed(program, "x", name))
    assert "inputs with names that are words" in refusal(path)
    assert not os.path.exists("MARK")


@pytest.mark.parametrize(
    "name",
    [
        'a"); __import__("os").mkdir("MARK"); ("',
        "forward",
        "a..b",
        "stem.weight.x",
        "__class__.x",
        "if",
    ],
)
def test_names_of_weights_are_no_code(name, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    source = next(path for path in WRITTEN if "2.15" in path.name)
    content = members(source)
    weights = _member(content, "model_weights_config.json")
    both = {weights, program_name(content)}
    for member in both:
        content[member] = content[member].replace(b'"norm.weight"', json.dumps(name).encode())
    path = write(tmp_path / "model.pt2", content)
    assert "names of tensors that are layers'" in refusal(path)
    assert not os.path.exists("MARK")


def test_expressions_of_sizes_are_not_evaluated(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    dynamic = {"dynamic_shapes": ({0: torch.export.Dim("batch")},)}
    path = save(tmp_path / "x.pt2", Made(lambda m, x: m.conv(x).flatten(1)), **dynamic)

    def change(program):
        text = json.dumps(program)
        inside = json.dumps(MARK)
        for size in program["graph_module"]["graph"]["tensor_values"]["x"]["sizes"]:
            if "as_expr" in size:
                text = text.replace(json.dumps(size["as_expr"]["expr_str"]), inside)
        program.update(json.loads(text))

    alter(path, change)
    assert "MARK" in members(path)[program_name(members(path))].decode()
    capture(from_pt2(path), IMAGES)
    assert not os.path.exists("MARK")


def test_results_that_are_too_large_are_refused_before_they_are_made(path):
    def change(program):
        nodes(program)[1].update(
            target="torch.ops.aten.zeros.default",
            inputs=[{"name": "size", "arg": {"as_ints": [1 << 20, 1 << 20]}, "kind": 1}],
        )

    alter(path, change)
    assert refusal(path) == (
        "FILE: a program needs results of 268,435,456 values at most, not 1,099,511,627,776; "
        "export a smaller network"
    )


def test_a_call_of_other_shapes_is_a_line(path):
    def change(program):
        given = next(each for each in nodes(program)[0]["inputs"] if each["name"] == "padding")
        given["arg"] = {"as_ints": [1, 1, 1]}

    alter(path, change)
    assert refusal(path).startswith("FILE: PyTorch cannot follow the program (")


def test_a_tensor_is_held_to_its_bytes(tmp_path):
    source = next(path for path in WRITTEN if "2.15" in path.name)
    content = members(source)
    name = _member(content, "weights/weight_0")
    path = write(tmp_path / "x.pt2", content | {name: content[name][:-4]})
    assert refusal(path) == (
        "FILE: the tensor 'stem.weight' needs as many numbers as its sizes say, but the file has "
        f"others; {AGAIN}"
    )


def places(value, path=()):
    """Each place inside of JSON."""
    yield path
    if isinstance(value, dict | list):
        for key, each in value.items() if isinstance(value, dict) else enumerate(value):
            yield from places(each, (*path, key))


VALUES = [None, -1, 0, 7, 2**70, 1.5, "", "x", "a.b", [], {}, [[]], {"as_int": 3}, True]


@settings(max_examples=60)
@given(st.data())
def test_any_change_of_a_program_is_taken_or_one_line(saved, tmp_path_factory, data):
    content = members(saved)
    program = json.loads(content[program_name(content)])
    held = list(places(program["graph_module"]))
    *path, key = ("graph_module", *data.draw(st.sampled_from(held)))
    at = program
    for each in path:
        at = at[each]
    at[key] = data.draw(st.sampled_from(VALUES))
    altered = tmp_path_factory.mktemp("x") / "x.pt2"
    write(altered, content | {program_name(content): json.dumps(program)})
    # Whatever else is raised fails the test.
    with suppress(QnnError):
        capture(from_pt2(altered), IMAGES)


def test_the_file_that_is_changed_is_right(saved):
    assert isinstance(from_pt2(saved), nn.Module)
