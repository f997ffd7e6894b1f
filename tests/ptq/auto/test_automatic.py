"""The whole search, on networks that take a second: what it promises, and where it may end."""

import contextlib
import itertools

import numpy as np
import pytest
import torch
from torch import Tensor, nn

import qnn
from qnn.cycles import cycles_on
from qnn.errors import ModelError
from qnn.interrupt import Interrupted
from qnn.ir.encode import encode_input
from qnn.ptq import round_layers
from qnn.ptq.auto.builder import Builder
from qnn.ptq.auto.held_out import HeldOut, Loss
from qnn.ptq.auto.options import Auto
from qnn.ptq.auto.steps import Steps
from qnn.ptq.export import export
from qnn.ptq.quantize import quantize
from qnn.quant.rounding.checkpoint import Keeper
from tests.expected import expected_tensors
from tests.ptq.test_inputs import equal_to_its_integers
from tests.ptq.trained import calibrated_on, classifier, images_of


def searched(model, images, **options):
    """The network, what was chosen, and the lines that were told."""
    results, lines = [], []
    auto = Auto(report=lines.append, outcome=results.append, costs=options.pop("costs", None))
    quantized = quantize(model, images, auto=auto, **options)
    (result,) = results
    return quantized, result, lines


def same(one, other) -> bool:
    states = one.state_dict(), other.state_dict()
    return all(torch.equal(value, states[1][name]) for name, value in states[0].items())


@torch.no_grad()
def right(model, images, labels) -> float:
    return 100 * float((model(images).argmax(1) == labels).float().mean())


@pytest.fixture(scope="module")
def by_target():
    """What was found for each target."""
    return {target: searched(*classifier(), target=target) for target in (5.0, 0.5, 0.1, 0.02)}


def test_targets_are_met_and_tighter_ones_cost_no_less(by_target):
    unseen, labels = images_of(1000, 2000)
    whole = right(classifier()[0], unseen, labels)
    costs = []
    for target, (quantized, result, lines) in by_target.items():
        assert result.target == target
        assert result.loss.lost <= target
        assert result.reached
        costs.append(result.cost)
        # Of 1,000 images some 30 are right by chance.
        assert right(quantized, unseen, labels) > whole - target - 4
        assert quantized.plan.channel_terms == dict(result.terms)
        assert f"target {target:g}" in lines[-1]
        assert f"expected loss {result.loss} points" in lines[-1]
    assert costs == sorted(costs)
    assert costs[0] == 1 < costs[-1]


def test_the_cost_is_that_of_the_terms(by_target):
    quantized, result, _ = by_target[0.1]
    products = sum(conv.products for conv in quantized.plan.learned)
    spent = sum(conv.products * conv.mean_terms for conv in quantized.plan.learned)
    assert result.cost == pytest.approx(spent / products)


def test_the_network_equals_its_integers(by_target):
    for quantized, _, _ in by_target.values():
        equal_to_its_integers(quantized, (classifier()[1][:4],))


def test_the_same_data_give_the_same_network(by_target):
    again, result, _ = searched(*classifier(), target=0.1)
    assert same(by_target[0.1][0], again)
    assert result == by_target[0.1][1]


def test_terms_that_are_given_are_taken(by_target):
    model, images = classifier()
    _, found, _ = by_target[0.1]
    _, result, _ = searched(model, images, terms=dict(found.terms), target=0.1)
    assert result.terms == found.terms
    assert result.cost == found.cost
    # A search that has reached its target goes no further, where weights could learn.
    assert result.loss.distance <= found.loss.distance
    for terms, cost in ((2, 2.0), (7, 7.0)):
        _, result, _ = searched(model, images, terms=terms)
        assert set(result.terms.values()) == {terms}
        assert result.cost == pytest.approx(cost)


def test_progress_is_told_of_layers_and_of_learning():
    told = []
    # What no design reaches: weights learn together, too.
    quantized, _, _ = searched(
        *classifier(), terms=1, target=1e-6, progress=lambda *each: told.append(each)
    )
    layers = len(quantized.plan.learned)
    sizes = [quantized.layer(conv.name).weight.numel() for conv in quantized.plan.learned]
    shares = [sum(sizes[: k + 1]) / sum(sizes) for k in range(layers)]
    of_layers = [(k + 1, layers, share) for k, share in enumerate(shares)]
    # As many as tests let learn, of whose weights every one is on its grid.
    of_steps = [(k, 20, 1.0) for k in range(1, 21)]
    by_design = []
    while told:
        each = of_layers if told[0] == of_layers[0] else of_steps
        assert told[: len(each)] == each
        by_design.append("layers" if each is of_layers else "steps")
        del told[: len(each)]
    # What learns was rounded before.
    assert ("layers", "steps") in itertools.pairwise(by_design)


def test_a_spoilt_image_is_left_out_and_told_of():
    model, images = classifier()
    spoilt = torch.cat((images, images[:1] * 1000))
    _, result, lines = searched(model, spoilt)
    assert lines[1] == "1 image reaches further than all others, left out of calibration"
    assert result.reached
    # Of a few images any is one of a kind: all are taken, and it is told.
    few = torch.cat((images[:20], images[:1] * 1000))
    lines = searched(model, few)[2]
    assert lines[1] == (
        "1 image reaches further than all others; fewer than 32 would be left without"
    )


@contextlib.contextmanager
def stopped_after(monkeypatch, count):
    """Every safe point is written, and the last of so many is one at which a signal is heard."""
    after, seen = Keeper.after, []

    def counted(self, step, what, tensors, due=False):
        seen.append(what)
        if len(seen) == count:
            self.asked = lambda: True
        after(self, step, what, tensors, True)

    with monkeypatch.context() as patch:
        patch.setattr(Keeper, "after", counted)
        yield seen


@pytest.mark.parametrize(
    ("rounding", "costs"),
    [("auto", None), ("auto", cycles_on("test")), ("nearest", None), ("gptq", None)],
)
def test_a_search_that_was_interrupted_goes_on_to_the_same(tmp_path, monkeypatch, rounding, costs):
    model, images = classifier()
    options = {"target": 0.1, "rounding": rounding, "costs": costs}
    # To nearest nothing is kept but losses, of which there are few.
    steps = 2 if rounding == "nearest" else 7
    choose, chosen = round_layers._choose, []
    monkeypatch.setattr(round_layers, "_choose", lambda *a: chosen.append(a[0]) or choose(*a))
    whole, result, _ = searched(model, images, **options)
    at_once, kept, stops = len(chosen), tmp_path / "kept", []
    # Each attempt gets a little further: into a layer of a design, a loss, or the sensitivities.
    for _ in range(100):
        try:
            with stopped_after(monkeypatch, steps):
                found, again, _ = searched(model, images, checkpoint=kept, **options)
            break
        except Interrupted as stop:
            stops.append(str(stop))
    assert same(whole, found)
    assert again == result
    assert stops
    if rounding == "auto":
        assert any("layer '" in stop for stop in stops)
        # No layer is rounded twice.
        assert len(chosen) == 2 * at_once


@contextlib.contextmanager
def stopped_once(monkeypatch, count):
    """A signal is heard at the safe point of that number, and nothing is written but when due."""
    after, seen = Keeper.after, []

    def counted(self, step, what, tensors, due=False):
        seen.append(what)
        self.asked = lambda: len(seen) == count
        after(self, step, what, tensors, due)

    with monkeypatch.context() as patch:
        patch.setattr(Keeper, "after", counted)
        yield seen


def test_weights_that_learn_go_on_where_they_were_stopped(tmp_path, monkeypatch):
    """Of few images they learn twice, the second time from those that have judged, too."""
    model, images = classifier()
    options = {"terms": 1, "target": 0.01}
    with stopped_once(monkeypatch, -1) as points:
        whole, result, lines = searched(model, images[:40], checkpoint=tmp_path / "all", **options)
    assert "all weights learn together" in "".join(lines)
    learning = [n for n, what in enumerate(points, 1) if what.endswith("of 20 steps")]
    assert learning
    for number in {learning[0], learning[-2], points.index("4 layers") + 1, len(points)}:
        kept = tmp_path / str(number)
        with stopped_once(monkeypatch, number), pytest.raises(Interrupted):
            searched(model, images[:40], checkpoint=kept, **options)
        again, other, _ = searched(model, images[:40], checkpoint=kept, **options)
        assert same(whole, again)
        assert other == result
        # Only the search's own file is left.
        assert [path.name for path in tmp_path.glob(f"{number}*")] == [kept.name]


def test_a_design_that_reaches_the_target_is_not_left_for_one_that_misses_it(monkeypatch):
    """Answers that are nearer on the whole may be other answers more often."""
    model, images = classifier()
    fixed = {}

    def judged(self, quantized):
        # As it is, with channels aligned, with channels equalised, and activations alone.
        losses = [
            Loss(*each) for each in ((2.0, 0.1, 0.01), (0.6, 0.1, 0.02), *[(0.5, 0.1, 0.03)] * 2)
        ]
        return fixed.setdefault(len(fixed), losses[len(fixed)])

    monkeypatch.setattr(HeldOut, "loss", judged)
    _, result, lines = searched(model, images, activation_bits=8, terms=1, target=1.0)
    assert result.loss.lost <= 1.0
    (aligned,) = (line for line in lines if line.startswith("channels aligned with the grid"))
    assert "loses 0.60" in aligned
    assert "not kept" not in aligned
    (equalised,) = (line for line in lines if line.startswith("channels equalised and aligned"))
    assert "not kept" in equalised
    # Nor is what reaches it changed any more.
    assert not any("learn together" in line for line in lines)


def test_what_has_no_time_to_learn_says_so():
    model, images = classifier()
    lines = searched(model, images, terms=1, seconds=1e-9)[2]
    assert any(line.startswith("weights do not learn together: there is too") for line in lines)
    # Of what is there to begin from, the first one has to do.
    assert any(line.startswith("channels aligned with the grid: not tried") for line in lines)


def slowly(monkeypatch):
    """Designs that are built from here on, each of which takes ten seconds."""
    built, build = [], Builder.build

    def slow(self, design, **how):
        built.append(design)
        return build(self, design, **how)

    monkeypatch.setattr(Builder, "build", slow)
    monkeypatch.setattr(Steps, "spent", property(lambda _: 10.0 * len(built)))
    return built


@pytest.mark.parametrize(("seconds", "most"), [(25, 2), (1000, 99)])
def test_no_design_is_begun_that_would_end_too_late(monkeypatch, seconds, most):
    built = slowly(monkeypatch)
    limits = {"target": 0.02, "seconds": seconds, "activation_bits": 8}
    _, _, lines = searched(*classifier(), **limits)
    # Late is what is predicted to be enough, where nothing was, and the network that comes out.
    in_time = range(min(len(built), seconds // 10))
    assert len(in_time) <= most
    assert len(built) <= len(in_time) + 2
    assert (len(in_time) == most) == any("not tried, there is too little time" in x for x in lines)


@pytest.mark.parametrize(("terms", "starts"), [("auto", 1), (1, 3)])
def test_a_search_keeps_half_of_its_time_for_designs(monkeypatch, terms, starts):
    built = slowly(monkeypatch)
    limits = {"target": 50.0, "seconds": 39, "activation_bits": 8}
    _, _, lines = searched(*classifier(), terms=terms, **limits)
    assert len({design.start for design in built}) == starts
    assert (
        "channels aligned with the grid: not tried, there is too little time" in str(lines)
    ) == (starts == 1)


@pytest.mark.parametrize(("seconds", "measured"), [(76, False), (90, False), (1000, True)])
def test_few_of_the_layers_are_not_measured_in_whole_designs(monkeypatch, seconds, measured):
    built = slowly(monkeypatch)
    limits = {"target": 0.02, "seconds": seconds, "activation_bits": 8}
    _, _, lines = searched(*classifier(), **limits)
    # Three networks to begin from, and 0.4 of the time for all measures.
    assert any(design.few for design in built) == measured
    assert any("within whole designs" in line for line in lines) == measured


def test_what_was_not_measured_for_want_of_time_is_not_after_an_interruption(tmp_path, monkeypatch):
    limits = {"target": 0.02, "activation_bits": 8, "checkpoint": tmp_path / "kept"}
    with monkeypatch.context() as patch:
        built = slowly(patch)
        with stopped_once(patch, -1) as points:
            searched(*classifier(), seconds=76, **limits)
    at = points.index("'layers in whole designs'") + 1
    (tmp_path / "kept").unlink(missing_ok=True)
    with monkeypatch.context() as patch:
        slowly(patch)
        with stopped_after(patch, at), pytest.raises(Interrupted):
            searched(*classifier(), seconds=76, **limits)
    # Of a clock that begins anew, there would be time for all of them.
    built = slowly(monkeypatch)
    searched(*classifier(), seconds=76, **limits)
    assert built
    assert not any(design.few for design in built)


def test_a_network_without_free_channels_is_tried_once():
    model = torch.nn.Sequential(nn.Conv2d(3, 4, 1), nn.ReLU6(), nn.Flatten(), nn.Linear(64, 3))
    lines = searched(model.eval(), torch.randn(80, 3, 4, 4), terms=1)[2]
    assert any(line.startswith("as it is: loses") for line in lines)
    assert not any(line.startswith("channels") for line in lines)


def test_bits_may_be_those_of_a_layer_that_does_not_learn():
    model = nn.Sequential(nn.Conv2d(3, 4, 1), nn.AvgPool2d(2), nn.Flatten(), nn.Linear(16, 3))
    bits = {"1": 4, "*": 3}
    quantized = searched(model.eval(), torch.randn(80, 3, 4, 4), terms=1, weight_bits=bits)[0]
    assert {conv.name: conv.weight_bits for conv in quantized.plan.convs} == {
        "0": 3,
        "1": 4,
        "3": 3,
    }


def test_what_an_interruption_kept_belongs_to_its_search(tmp_path, monkeypatch):
    model, images = classifier()
    kept = tmp_path / "kept"
    with stopped_after(monkeypatch, 3), pytest.raises(Interrupted, match=r"which .*kept has"):
        searched(model, images, checkpoint=kept)
    for options, part in (
        ({"task": "regression"}, "other options"),
        ({"target": 0.3}, "other options"),
        ({"terms": 2}, "other options"),
        ({"costs": lambda graph: {}}, "other options"),
        ({"activation_bits": 6}, "another grid"),
        ({"weight_bits": 4}, "another grid"),
        ({"rounding": "nearest"}, "another method"),
    ):
        with pytest.raises(ModelError, match=f"a rounding checkpoint of {part}"):
            searched(model, images, checkpoint=kept, **options)
    with pytest.raises(ModelError, match="a rounding checkpoint of other data"):
        searched(model, images * 0.999, checkpoint=kept)
    other = type(model)().eval()
    other.load_state_dict(model.state_dict())
    with torch.no_grad():
        other.head.bias[0] += 0.001
    with pytest.raises(ModelError, match="a rounding checkpoint of another model"):
        searched(other, images, checkpoint=kept)


def test_a_search_by_labels_belongs_to_these_and_to_their_output(tmp_path, monkeypatch):
    class Two(nn.Module):
        def __init__(self):
            super().__init__()
            self.one, self.two = nn.Linear(6, 2), nn.Linear(6, 2)

        def forward(self, x):
            return self.one(x), self.two(x)

    torch.manual_seed(0)
    model, x, y, kept = Two().eval(), torch.randn(80, 6), torch.randn(80, 2), tmp_path / "kept"
    fixed = {"task": ["regression"] * 2, "activation_bits": 8, "checkpoint": kept}
    with stopped_after(monkeypatch, 3), pytest.raises(Interrupted):
        searched(model, [(x, (y, None))], **fixed)
    for labels in ((None, y), (y + 1, None), (None, None)):
        with pytest.raises(ModelError, match="a rounding checkpoint of other data"):
            searched(model, [(x, labels)], **fixed)


def test_without_time_there_is_a_network():
    model, images = classifier()
    usual = {"activation_bits": 8}
    losses, one = [], searched(model, images, terms=1, **usual)[1].loss.lost
    for target in (0.02, 0.5):
        quantized, result, _ = searched(model, images, target=target, seconds=1e-9, **usual)
        equal_to_its_integers(quantized, (images[:2],))
        # What is predicted is not seen to be right, but it is no guess.
        assert result.cost > 1
        losses.append(result.loss.lost)
    assert losses[0] <= losses[1] < one


def test_costs_of_ones_own_decide():
    """A layer that costs nothing more gets its terms before all others."""
    model, images = classifier()

    def costs(graph):
        return {conv.name: 1.0 for conv in graph.convs if conv.name != "head"}

    _, result, _ = searched(model, images, target=0.1, costs=costs)
    assert result.cost == 1.0
    assert result.reached


def test_every_rounding_takes_the_terms_that_were_found(by_target):
    model, images = classifier()
    quantized, result, _ = searched(model, images, target=0.1, rounding="gptq")
    assert dict(result.terms) == dict(by_target[0.1][1].terms)
    assert quantized.plan.channel_terms == dict(result.terms)
    assert quantized.plan.rounding == "gptq"


@pytest.fixture(scope="module")
def by_rows():
    """What was found for an array that computes four rows at a time."""
    return searched(*classifier(), target=0.1, costs=cycles_on("test"))


def test_rows_of_a_layer_get_terms_of_their_own(by_rows):
    quantized, result, _ = by_rows
    mixed = {name: k for name, k in result.terms.items() if not isinstance(k, int)}
    assert mixed
    assert quantized.plan.channel_terms == dict(result.terms)
    for name, terms in mixed.items():
        # Some rows of each group of four may take fewer, and their codes are zeros.
        assert quantized.layer(name).indices().shape[0] == max(terms)
        for row, count in enumerate(terms):
            assert not quantized.layer(name).indices()[count:, row].any()
        assert len(result.shares[name]) == len(terms)
    equal_to_its_integers(quantized, (classifier()[1][:4],))


def test_the_cost_is_that_of_the_array(by_rows):
    quantized, result, _ = by_rows
    bits = quantized.plan.activation_bits
    costs, start = cycles_on("test"), calibrated_on(*classifier(), activation_bits=bits)
    of_each = [costs(export(each)) for each in (quantized, start.build(1, "nearest"))]
    spent, least = (sum(found[name] for name in result.terms) for found in of_each)
    assert result.cost == pytest.approx(spent / least)


def test_an_array_computes_what_was_found(by_rows):
    quantized, _, _ = by_rows
    graph, images = export(quantized), classifier()[1][:3]
    design = qnn.compile(graph, "test")
    x = encode_input(graph, (images.numpy(),))
    expected = expected_tensors(graph, x)
    found = design.backend.run(design.artifact, x, "functional").outputs
    for output, got in zip(graph.outputs, found, strict=True):
        np.testing.assert_array_equal(got, expected[output.name])


def test_rows_that_were_found_are_taken_where_they_are_given(by_rows):
    quantized, result, _ = by_rows
    model, images = classifier()
    saved = {"target": 0.1, "costs": cycles_on("test")}
    again, told, _ = searched(model, images, terms=dict(result.terms), **saved)
    # Which network of the same values they are built from may differ.
    assert told.reached
    assert result.reached
    assert again.plan.channel_terms == quantized.plan.channel_terms
    assert told.cost == result.cost
    gptq = searched(model, images, rounding="gptq", **saved)[0]
    assert gptq.plan.channel_terms == dict(result.terms)


class TwoInputs(nn.Module):
    """An image and a vector, and two outputs."""

    def __init__(self):
        super().__init__()
        self.conv, self.fc, self.head = nn.Conv2d(2, 4, 3), nn.Linear(5, 6), nn.Linear(10, 3)

    def forward(self, x: Tensor, y: Tensor) -> tuple[Tensor, Tensor]:
        """Scores, and values."""
        x = torch.cat((self.conv(x).relu().mean((2, 3)), self.fc(y).relu()), 1)
        return self.head(x), x


def seeded(*shape):
    return torch.randn(shape, generator=torch.Generator().manual_seed(sum(shape)))


TABLES = (nn.Linear(6, 8), nn.GELU(), nn.Linear(8, 8), nn.Sigmoid(), nn.Linear(8, 3))
TRANSPOSED = (nn.ConvTranspose2d(4, 6, 3, stride=2, groups=2), nn.ReLU(), nn.Conv2d(6, 4, 2))
OTHERS = {
    "regression": (nn.Linear(6, 1), seeded(50, 6), {}),
    "tables": (nn.Sequential(*TABLES), seeded(50, 6), {}),
    "reconstruction": (
        nn.Sequential(nn.Linear(8, 4), nn.Linear(4, 8)),
        seeded(50, 8),
        {"task": "reconstruction"},
    ),
    "tokens": (nn.Sequential(nn.Linear(6, 8), nn.ReLU(), nn.Linear(8, 5)), seeded(50, 7, 6), {}),
    "binary": (nn.Linear(6, 1), seeded(50, 6), {"task": "binary"}),
    "pixels": (nn.Conv2d(3, 4, 3, padding=1), seeded(50, 3, 6, 6), {"task": "pixels"}),
    "two inputs": (TwoInputs(), (seeded(50, 2, 6, 6), seeded(50, 5)), {}),
    "transposed": (nn.Sequential(*TRANSPOSED), seeded(40, 4, 4, 4), {}),
    "by layer": (nn.Sequential(*TABLES), seeded(50, 6), {"weight_bits": {"0": 2, "*": 4}}),
    "nothing learns": (nn.AvgPool2d(2), seeded(20, 2, 4, 4), {"task": "regression"}),
    "one image": (nn.Linear(6, 3), seeded(1, 6), {}),
    "two images": (nn.Linear(6, 1), seeded(2, 6), {}),
    "a constant": (nn.Linear(6, 3), torch.full((40, 6), 1000.1), {}),
}


@pytest.mark.filterwarnings("ignore:all 40 calibration images are the same")
@pytest.mark.parametrize("name", OTHERS)
def test_networks_of_all_kinds_get_there(name):
    model, images, options = OTHERS[name]
    quantized, result, lines = searched(model.eval(), images, **options)
    assert result.loss.lost >= 0
    assert result.cost >= 1
    unit = "%" if result.target == 2 else "points"
    assert f" {unit} (target" in lines[-1]
    equal_to_its_integers(quantized, images if isinstance(images, tuple) else (images,))


def test_weights_of_a_network_of_two_inputs_learn_together():
    model, (scene, state), _ = OTHERS["two inputs"]
    more = (scene.repeat(8, 1, 1, 1), state.repeat(8, 1))
    more = tuple(x + 0.3 * torch.randn(x.shape, generator=torch.manual_seed(1)) for x in more)
    _, _, lines = searched(model.eval(), more, terms=1, weight_bits=2)
    assert any("all weights learn together: loses" in line for line in lines)


@pytest.mark.parametrize(
    ("options", "text"),
    [
        ({"target": 0}, "quantize needs a target over 0, at most 100, not 0"),
        ({"target": float("nan")}, "quantize needs a target over 0, at most 100, not nan"),
        ({"target": 101}, "quantize needs a target over 0, at most 100, not 101"),
        ({"seconds": 0}, "quantize needs seconds over 0, not 0"),
        ({"seconds": float("inf")}, "quantize needs seconds over 0, not inf"),
        (
            {"target": 1.0, "terms": 2, "rounding": "nearest"},
            "quantize needs terms='auto' or rounding='auto' with target, which bounds their search",
        ),
        (
            {"seconds": 9, "terms": {"*": 2}, "rounding": "gptq"},
            "with seconds, .* not rounding='gptq' with terms that are given; leave seconds out",
        ),
        ({"terms": "few"}, "quantize needs terms as numbers or 'auto', not 'few'"),
        ({"bias_correction": False}, "quantize needs no bias_correction with rounding='auto'"),
        ({"rounding_options": {}}, "quantize needs no rounding_options with rounding='auto'"),
        (
            {"rounding": "nearest", "bias_correction": True},
            "quantize needs no bias_correction with rounding='nearest' and terms='auto'",
        ),
    ],
)
def test_what_means_nothing_is_refused(options, text):
    with pytest.raises(ValueError, match=text):
        quantize(nn.Linear(6, 3), seeded(20, 6), **options)


@pytest.mark.parametrize(
    ("options", "text"),
    [
        ({"target": "0.5"}, "quantize needs a number as target, not '0.5'"),
        ({"target": True}, "quantize needs a number as target, not True"),
        ({"seconds": [60]}, "quantize needs a number as seconds, not [60]"),
        ({"report": None}, "quantize needs a function as Auto's report, not None"),
        ({"costs": "test"}, "quantize needs a function as Auto's costs, not 'test'"),
    ],
)
def test_bounds_of_another_kind_are_refused(options, text):
    with pytest.raises(TypeError) as refused:
        Auto(**options)
    assert str(refused.value) == text
