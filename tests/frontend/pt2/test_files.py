"""Programs in files: the same network, whichever release of PyTorch wrote them and reads them."""

import pytest
import torch
import torch.nn.functional as F
from torch import nn
from torch.utils import _pytree

from qnn.errors import ModelError, QnnWarning
from qnn.frontend.capture import capture
from qnn.frontend.pt2.read import from_pt2
from tests.float_results import float_results
from tests.frontend.pt2.networks import IMAGES, WRITTEN, Made, Pair, Residual, alter, save


def layers(graph):
    return [(node.name, node.kind, node.shape, node.inputs) for node in graph.nodes]


@pytest.mark.parametrize("path", WRITTEN, ids=[path.stem for path in WRITTEN])
def test_a_file_of_any_release_is_the_module_that_was_saved(path):
    model, found = Residual(), from_pt2(path)
    with torch.no_grad():
        assert torch.equal(found(IMAGES[:2]), model(IMAGES[:2]))
    assert layers(capture(found, IMAGES)) == layers(capture(model, IMAGES))


def test_files_of_several_releases_are_there():
    assert {"residual_2.6.0", "residual_2.15.0"} <= {path.stem for path in WRITTEN}


def test_weights_that_are_tied_and_layers_that_are_shared_stay_one(tmp_path):
    found = from_pt2(save(tmp_path / "x.pt2", Residual()))
    names = dict(found.named_parameters(remove_duplicate=False))
    assert names.keys() == dict(Residual().named_parameters(remove_duplicate=False)).keys()
    assert names["first.weight"] is names["second.weight"]
    kinds = [layer[1] for layer in layers(capture(found, IMAGES))]
    assert kinds == [layer[1] for layer in layers(capture(Residual(), IMAGES))]


def quiet(model, x):
    with torch.no_grad():
        y = model.conv(x)
        z = y.relu()
    return model.conv(x) + z * y


def batched(model, x):
    return model.conv(x).view(x.shape[0], -1)


BATCH = {"dynamic_shapes": ({0: torch.export.Dim("batch")},)}
PROGRAMS = {
    "a tensor": (lambda m, x: m.conv(x), {}),
    "a dictionary": (lambda m, x: {"b": m.conv(x), "a": x.mean((2, 3))}, {}),
    "nested results": (lambda m, x: (m.conv(x), [x.relu(), {"k": (x.mean((2, 3)), None)}]), {}),
    "a named tuple": (lambda m, x: Pair(m.conv(x), x.relu()), {}),
    "one in a tuple": (lambda m, x: (m.conv(x),), {}),
    "an output twice": (lambda m, x: [m.conv(x)] * 2, {}),
    "several results of a call": (lambda m, x: m.conv(x).chunk(2, 1)[1], {}),
    "two results of a call": (lambda m, x: m.conv(x).max(1)[0], {}),
    "any number of images": (batched, BATCH),
    "a constant of Python": (lambda m, x: m.conv(x) * torch.tensor(2.0), {}),
    "a type, a format and a number": (
        lambda m, x: m.conv(x.to(torch.float32, memory_format=torch.channels_last)) / 3,
        {},
    ),
    "infinity": (lambda m, x: m.conv(x).clamp(0.0, float("inf")), {}),
    "words": (lambda m, x: F.gelu(F.pad(m.conv(x), (1, 1)), approximate="tanh"), {}),
    "gradients that are switched": (quiet, {}),
}


@pytest.mark.parametrize("name", PROGRAMS)
@pytest.mark.filterwarnings("ignore::FutureWarning", "ignore::DeprecationWarning")
def test_a_program_comes_back(name, tmp_path):
    function, options = PROGRAMS[name]
    model = Made(function)
    found = from_pt2(save(tmp_path / "x.pt2", model, **options))
    images = IMAGES[:3] if options else IMAGES
    with torch.no_grad():
        wanted, got = _pytree.tree_leaves(model(images)), _pytree.tree_leaves(found(images))
        for one, other in zip(wanted, got, strict=True):
            assert one is other is None or torch.equal(one, other)
        results = float_results(capture(found, images), images)
    for one, other in zip([x for x in wanted if x is not None], results, strict=True):
        torch.testing.assert_close(one, other, atol=1e-4, rtol=1e-4)


def test_results_keep_their_names_and_nesting(tmp_path):
    found = from_pt2(save(tmp_path / "x.pt2", Made(PROGRAMS["nested results"][0])))
    result = found(IMAGES)
    assert isinstance(result, tuple)
    assert list(result[1][1]) == ["k"]


def test_fields_of_a_named_tuple_keep_their_names(tmp_path):
    path = save(tmp_path / "x.pt2", Made(PROGRAMS["a named tuple"][0]))

    def name(program):
        # Releases before 2.7 leave them out.
        program["graph_module"]["treespec_namedtuple_fields"] = {
            "tests.Pair": {"field_names": ["first", "second"]}
        }

    assert list(from_pt2(alter(path, name))(IMAGES)) == ["first", "second"]
    unnamed = from_pt2(
        alter(path, lambda program: program["graph_module"].pop("treespec_namedtuple_fields"))
    )
    assert isinstance(unnamed(IMAGES), tuple)


def test_results_of_a_class_that_is_not_known_stand_side_by_side(tmp_path):
    def forget(program):
        for call in program["graph_module"]["module_call_graph"]:
            if call.get("signature"):
                call["signature"]["out_spec"] = '[1, {"type": "their.Class"}]'

    model = Made(PROGRAMS["a dictionary"][0])
    found = from_pt2(alter(save(tmp_path / "x.pt2", model), forget))
    assert isinstance(found(IMAGES), tuple)


def test_a_program_in_core_aten_is_read_as_well(tmp_path):
    model = Residual()
    found = from_pt2(save(tmp_path / "x.pt2", model, core=True))
    with torch.no_grad():
        torch.testing.assert_close(found(IMAGES), model(IMAGES))
    assert [layer[1] for layer in layers(capture(found, IMAGES))] == [
        layer[1] for layer in layers(capture(model, IMAGES))
    ]


class Counting(nn.Module):
    """A state that a result depends on."""

    def __init__(self):
        super().__init__()
        self.register_buffer("count", torch.zeros(1))

    def forward(self, x):
        self.count += 1
        return x * self.count


def test_what_a_run_would_change_is_refused_as_in_a_module(tmp_path):
    path = save(tmp_path / "x.pt2", Counting(), core=True)
    for model in (Counting(), from_pt2(path)):
        with pytest.raises(ModelError, match="'count' is changed by each run and read by the next"):
            capture(model, IMAGES)


@pytest.mark.filterwarnings("ignore")
def test_what_capture_refuses_of_a_module_it_refuses_of_a_file(tmp_path):
    path = save(tmp_path / "x.pt2", Residual().half(), IMAGES.half())
    with pytest.raises(ModelError, match=r"needs float32 parameters, but '.*' is torch\.float16"):
        capture(from_pt2(path), IMAGES)


def test_layers_that_nothing_reads_are_told_as_of_a_module(tmp_path):
    model = Made(lambda m, x: x.relu())
    for each in (model, from_pt2(save(tmp_path / "x.pt2", model))):
        with pytest.warns(QnnWarning, match="weights of 'conv' are read by no output"):
            capture(each, IMAGES)
