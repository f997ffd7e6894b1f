"""Programs drawn of all steps give the same in PyTorch's module, the reference and from a file."""

from dataclasses import replace
from functools import cache
from math import prod

import numpy as np
import torch
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from torch import nn

import qnn
from qnn.host.operations import BATCH, OF_ANY, OPERATIONS
from qnn.host.program import HostProgram
from qnn.host.step import CONSTANT, HostStep
from qnn.ir.encode import decode, encode_input
from qnn.ir.reference import reference
from qnn.ir.serialize import from_bytes, to_bytes
from qnn.nn.model import QuantizedModel
from qnn.tasks.structures import tensors_of
from tests.frontend.test_odd_models import Made
from tests.nearest import quantize

SHAPES = [(2, 3, 4), (5,)]  # of what the network gives for an image
BINARY = ("add", "sub", "mul", "div", "pow", "maximum", "minimum")
MOST = 500  # values of an image, so that a test is quick
IMAGES = torch.randn(3, 3, 3, 4, generator=torch.Generator().manual_seed(0))


@cache
def network():
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(0)
        a, b = nn.Conv2d(3, 2, 1), nn.Linear(36, 5)
    model = Made(lambda m, x: (m.a(x), m.b(x.flatten(1))), a=a, b=b).eval()
    return quantize(model, IMAGES, weight_bits=3)


def with_host(program):
    base = network()
    made = QuantizedModel(replace(base.plan, host=program)).eval()
    made.load_state_dict(base.state_dict())
    return made


@st.composite
def numbers_for(draw, name, shape):
    """Numbers that a step on a value (images, *shape) takes."""
    axis = draw(st.integers(1, len(shape))) if shape else 0
    if name == "reshape":
        first = draw(st.sampled_from([n for n in range(1, prod(shape) + 1) if not prod(shape) % n]))
        return (BATCH, first, prod(shape) // first)
    if name == "permute":
        return (0, *draw(st.permutations(range(1, len(shape) + 1))))
    if name == "slice" and shape:
        start = draw(st.integers(0, shape[axis - 1] - 1))
        return axis, start, draw(st.integers(start + 1, shape[axis - 1])), draw(st.integers(1, 3))
    if name == "expand":
        return (BATCH, *(draw(st.integers(1, 3)) if size == 1 else size for size in shape))
    return (axis,) * (OPERATIONS[name].numbers or 0) if name != "cat" else (axis,)


@st.composite
def constants(draw, shape):
    """A constant that spreads over a value (images, *shape)."""
    sizes = (1, *(draw(st.sampled_from([1, size])) for size in shape))
    drawn = st.floats(-4, 4, width=32)
    values = draw(st.lists(drawn, min_size=prod(sizes), max_size=prod(sizes)))
    return HostStep(CONSTANT, (), sizes, tuple(values))


@st.composite
def programs(draw):
    """A host program whose values all have images first, but for constants."""
    steps, shapes, truths = [], dict(enumerate(SHAPES)), set()
    for _ in range(draw(st.integers(1, 12))):
        name = draw(st.sampled_from([*OPERATIONS]))
        able = [n for n in shapes if name in OF_ANY or n not in truths]
        count = OPERATIONS[name].operands or draw(st.integers(1, 3))
        operands = tuple(draw(st.sampled_from(able)) for _ in range(count))
        shape = shapes[operands[0]]
        numbers, made = draw(numbers_for(name, shape)), []
        if name in BINARY and draw(st.booleans()):
            made = [draw(constants(shape))]
            operands = (operands[0], 2 + len(steps))
        made.append(HostStep(name, operands, numbers))
        number = 1 + len(steps) + len(made)
        try:
            found = HostProgram(2, (*steps, *made), number).shapes(SHAPES)[-1]
        except ValueError:  # of shapes that do not go together
            continue
        if prod(found) > MOST:
            continue
        if name == "bool" or (name not in ("long", "float") and truths & {*operands}):
            truths.add(number)
        steps += made
        shapes[number] = found[1:]
    results = draw(st.lists(st.sampled_from([*shapes]), min_size=1, max_size=3))
    return HostProgram(2, tuple(steps), {"a": results[0], "b": [*results[1:], None]})


def drawing(examples):
    return settings(
        max_examples=examples,
        deadline=None,
        suppress_health_check=list(HealthCheck),
        derandomize=True,
    )


@drawing(25)
@given(programs())
def test_a_drawn_program_gives_the_same_everywhere(program):
    quantized = with_host(program)
    graph = qnn.export(quantized)
    again = from_bytes(to_bytes(graph))
    assert again.host == program
    found = decode(again, reference(again, encode_input(again, IMAGES.numpy())))
    results = (tensors_of(each) for each in (quantized(IMAGES), found, quantized(IMAGES[1:2])))
    for one, other, single in zip(*results, strict=True):
        np.testing.assert_array_equal(one.numpy(), other)
        # What the host leaves alone is PyTorch's own.
        assert one.numpy().dtype in (other.dtype, np.float32)
        np.testing.assert_array_equal(one[1:2].numpy(), single.numpy())


def test_each_step_has_the_shape_that_its_rule_says_and_gives_what_pytorch_does():
    reached = set()

    @drawing(150)
    @given(programs())
    def check(program):
        tensors = [np.random.default_rng(0).standard_normal((3, *shape)) for shape in SHAPES]
        shapes, numbers = program.shapes(SHAPES), range(2 + len(program.steps))
        values = program.values(tensors, numbers)
        for number, step in enumerate(program.steps, 2):
            reached.add(step.name)
            if step.name == CONSTANT:
                continue
            assert values[number].shape == (3, *shapes[number][1:])
            # Each of NumPy's own operands, as rounding and choices would go apart.
            operands = [torch.from_numpy(np.array(values[n])) for n in step.operands]
            other = OPERATIONS[step.name].compute(torch, operands, step.numbers, 3)
            np.testing.assert_allclose(values[number], other.numpy(), rtol=1e-5, atol=1e-9)

    check()
    assert reached == {CONSTANT, *OPERATIONS}
