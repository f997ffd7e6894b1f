"""Which tensor is which where names differ: by published lists of names, and by random networks."""

import itertools
import re
from pathlib import Path

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from qnn.nn.weights.structure import match, natural
from qnn.nn.zoo import ZOO

NAMES = Path(__file__).parent / "names"
NORM = ("weight", "bias", "running_mean", "running_var")
COUNTER = "num_batches_tracked"


def published(network):
    """Shapes by name of a network of another package, as a file in ``names`` lists them."""
    shapes = {}
    for line in (NAMES / f"{network}.txt").read_text().splitlines():
        layer, *words = line.split()
        if layer == "#":
            continue
        if words[0] == "norm":
            words = [word for last in NORM for word in (last, words[1])]
        for last, size in zip(words[::2], words[1::2], strict=True):
            shapes[f"{layer}.{last}"] = tuple(int(n) for n in size.split("x"))
    return shapes


def ours(name):
    with torch.device("meta"):
        state = ZOO[name].build().state_dict()
    return {key: tuple(t.shape) for key, t in state.items() if not key.endswith(COUNTER)}


def of_pytorchcv(name):
    """torchvision's name of a tensor of pytorchcv's ResNet, spelt out independently."""
    name = name.replace("features.init_block.conv.", "").replace("output.", "fc.")
    for pattern, new in (
        (r"^conv\.", "conv1."),
        (r"^bn\.", "bn1."),
        (r"features\.stage(\d)\.unit(\d)", lambda m: f"layer{m[1]}.{int(m[2]) - 1}"),
        (r"body\.conv(\d)\.conv", r"conv\1"),
        (r"body\.conv(\d)\.bn", r"bn\1"),
        (r"identity_conv\.conv", "downsample.0"),
        (r"identity_conv\.bn", "downsample.1"),
    ):
        name = re.sub(pattern, new, name)
    return name


def of_timm(name):
    """torchvision's name of a tensor of timm's MobileNetV2, spelt out independently."""
    layer, _, last = name.rpartition(".")
    ends = {
        "conv_stem": "features.0.0",
        "bn1": "features.0.1",
        "conv_head": "features.18.0",
        "bn2": "features.18.1",
        "classifier": "classifier.1",
    }
    if layer in ends:
        return f"{ends[layer]}.{last}"
    stage, block, part = re.match(r"blocks\.(\d)\.(\d)\.(\w+)", layer).groups()
    place = sum((1, 2, 3, 4, 3, 3, 1)[: int(stage)]) + int(block) + 1
    first = ("conv_dw", "bn1", "conv_pw", "bn2")  # the first block has no expansion
    usual = ("conv_pw", "bn1", "conv_dw", "bn2", "conv_pwl", "bn3")
    where = (first if stage == "0" else usual).index(part)
    depth = 1 if stage == "0" else 2
    inner = f"{where // 2}.{where % 2}" if where < 2 * depth else str(where - depth)
    return f"features.{place}.conv.{inner}.{last}"


@pytest.mark.parametrize(
    ("wanted", "held", "rule"),
    [
        ("tv_resnet18", "cv_resnet18", of_pytorchcv),
        ("timm_resnet18", "cv_resnet18", of_pytorchcv),
        ("tv_resnet18", "timm_resnet18", str),
        ("tv_mobilenet_v2", "timm_mobilenetv2_100", of_timm),
    ],
)
def test_networks_of_two_packages_have_each_other_s_weights(wanted, held, rule):
    held = published(held)
    found = match(published(wanted), held).sources
    assert found == {rule(name): name for name in held}


def test_networks_of_the_zoo_take_the_names_of_all_three_packages():
    for network, others in (
        ("resnet18", ("tv_resnet18", "timm_resnet18", "cv_resnet18")),
        ("mobilenetv2", ("tv_mobilenet_v2", "timm_mobilenetv2_100")),
    ):
        wanted = ours(network)
        for other in others:
            assert match(wanted, published(other)).sources.keys() == wanted.keys()


def test_names_that_differ_need_no_order_where_the_tree_is_the_same():
    wanted = published("tv_resnet18")
    held = {n.replace("downsample", "shortcut").replace("fc", "linear"): n for n in wanted}
    in_file = {name: wanted[held[name]] for name in sorted(held, key=natural)}
    assert list(in_file) != list(held)
    assert match(wanted, in_file).sources == {own: name for name, own in held.items()}


def test_a_network_with_other_shortcuts_is_another_one():
    assert match(ours("resnet20"), published("cv_resnet20_cifar10")).sources is None


CONV, WIDE = (4, 4, 3, 3), (8, 4, 3, 3)


def layers(**shapes):
    return {f"{name.replace('_', '.')}.weight": shape for name, shape in shapes.items()}


@pytest.mark.parametrize(
    ("wanted", "held", "unclear"),
    [
        # As keys and queries are, which packages register in different orders.
        (layers(q=CONV, k=CONV, v=CONV), layers(a=CONV, b=CONV, c=CONV), ("q", "k", "v")),
        (layers(x1=CONV, x2=CONV), layers(a=CONV, b=CONV), ("a", "b")),
        (layers(rgb_1=CONV, depth_1=CONV), layers(a_1=CONV, b_1=CONV), ("rgb", "depth")),
        # Numbers that count down may count the other way as well.
        (layers(up2=CONV, up1=CONV), layers(d1=CONV, d2=CONV), ("up2", "up1")),
        (layers(a=CONV, b=CONV), layers(b=CONV, c=CONV), ("a", "b")),
        # A name that both parts have somewhere tells nothing.
        (layers(a=CONV, b_a=CONV), layers(a=CONV, c_a=CONV), ("a", "b")),
    ],
)
def test_what_holds_the_same_is_never_guessed(wanted, held, unclear):
    found = match(wanted, held)
    assert (found.sources, found.unclear) == (None, unclear)


@pytest.mark.parametrize(
    ("wanted", "held"),
    [
        (layers(q=CONV, k=CONV, head=WIDE), layers(k=CONV, q=CONV, fc=WIDE)),
        (layers(conv1=CONV, skip=CONV), layers(conv1=CONV, short=CONV)),
        (layers(a_0=CONV, a_3=CONV, a_10=CONV), layers(b_1=CONV, b_2=CONV, b_3=CONV)),
        (layers(stem=WIDE, body=CONV), layers(second=CONV, first=WIDE)),
    ],
)
def test_what_a_name_a_number_or_a_shape_tells_is_matched(wanted, held):
    found = match(wanted, held).sources
    assert {name: held[source] for name, source in found.items()} == wanted
    for name, source in found.items():
        assert name not in held or source == name


def test_one_layer_and_two_are_no_two_and_one():
    wanted = layers(a=CONV, b_1=CONV, b_2=CONV)
    assert match(wanted, layers(c_1=CONV, c_2=CONV, d=CONV)).sources == {
        "a.weight": "d.weight",
        "b.1.weight": "c.1.weight",
        "b.2.weight": "c.2.weight",
    }
    assert match(wanted, layers(c_0=CONV, c_1=CONV, c_2=WIDE)).sources is None
    assert match(wanted | layers(c=WIDE), layers(d_1=CONV, d_2=CONV, e_1=CONV, e_2=WIDE)) == (
        match({}, layers(a=CONV))
    )


def test_deep_names_and_long_numbers_take_no_time():
    deep = {".".join("a" * 100_000): (1,)}
    assert match(deep, deep).sources is None
    assert natural("x" + "9" * 10_000) > natural("x8")


WORDS = [f"{a}{b}" for a in "ABCDEFGH" for b in "XYZ"]


@st.composite
def renamed_networks(draw, words=True, changed=True):
    """Two trees of one structure: shapes by name of each, and which name is which.

    The second one has other names, and either its parts in any order, or further nodes around some.
    """
    counter, mixed = itertools.count(), changed and draw(st.booleans())

    def names(count):
        """What the parts of a node are called in both trees: words, numbers behind a stem."""
        numbers = draw(st.integers(0, count)) if words else count
        own = draw(st.permutations(WORDS))[: count - numbers]
        pairs = [(n, n if draw(st.booleans()) else f"new{'i' * next(counter)}") for n in own]
        for _ in range(2):
            stem = draw(st.sampled_from(["", "conv", "layer", "s"]))
            places = st.sets(st.integers(0, 120), min_size=numbers, max_size=numbers)
            pairs += [f"{stem}{place}" for place in sorted(draw(places))]
        series = pairs[len(own) :]
        found = pairs[: len(own)] + list(zip(series[:numbers], series[numbers:], strict=True))
        return draw(st.permutations(found)) if words and not numbers else found

    def node(depth):
        """A list of (name in one tree, in the other, shape or inner list)."""
        inside = []
        for one, other in names(draw(st.integers(1, 5))):
            leaf = depth == 0 or draw(st.booleans())
            below = draw(st.sampled_from([CONV, WIDE])) if leaf else node(depth - 1)
            inside.append((one, other, below))
        return inside

    def walk(inside, side, path):
        group, first, last = "", 0, 0
        if side and mixed:
            inside = draw(st.permutations(inside))
        elif side and changed and draw(st.booleans()):
            group = f"group{next(counter)}x"
            first, last = sorted(draw(st.tuples(*[st.integers(0, len(inside))] * 2)))
        for place, part in enumerate(inside):
            within = (group,) if first <= place < last else ()
            where, below = (*path, *within, part[side]), part[2]
            if isinstance(below, tuple):
                yield where, below, id(part)
            else:
                yield from walk(below, side, where)

    tree = node(2)
    one, other = list(walk(tree, 0, ())), list(walk(tree, 1, ()))
    twin = {key: ".".join(path) for path, _, key in other}
    wanted = {".".join((*path, "weight")): shape for path, shape, _ in one}
    held = {".".join((*path, "weight")): shape for path, shape, _ in other}
    truth = {".".join((*path, "weight")): f"{twin[key]}.weight" for path, _, key in one}
    return wanted, held, truth


@settings(deadline=None, max_examples=150)
@given(renamed_networks())
def test_what_is_matched_is_never_wrong(networks):
    wanted, held, truth = networks
    assert match(wanted, held).sources in (None, truth)


@settings(deadline=None, max_examples=100)
@given(renamed_networks(words=False, changed=False))
def test_whatever_is_numbered_alike_is_matched(networks):
    wanted, held, truth = networks
    assert match(wanted, held).sources == truth
