import re

import pytest
import torch
import torch.nn.functional as F
from torch import nn
from torch.nn.utils import parametrizations

from qnn.errors import ModelError, QnnWarning
from qnn.frontend.capture import capture
from qnn.frontend.run import run


class Made(nn.Module):
    """A module whose forward is a function of the test's."""

    def __init__(self, function, **parts):
        super().__init__()
        self.function = function
        for name, part in parts.items():
            setattr(self, name, part)

    def forward(self, x):
        return self.function(self, x)


def captured(function, shape=(3, 8, 6), **parts):
    torch.manual_seed(0)
    model = Made(function, **parts)
    x = torch.randn(2, *shape)
    graph = capture(model, x)
    values = run(graph, x if x.dim() == 4 else x[:, :, None, None])
    with torch.no_grad():
        wanted = model.eval()(x)
    wanted = wanted if isinstance(wanted, tuple | list) else (wanted,)
    for output, expected in zip(graph.outputs, wanted, strict=True):
        got = values[output.name].reshape(2, *output.shape)
        torch.testing.assert_close(got, expected, atol=1e-5, rtol=1e-5)
    return graph


def refusal(function, shape=(3, 8, 6), **parts):
    with pytest.raises(ModelError) as caught:
        captured(function, shape, **parts)
    assert "\n" not in str(caught.value)
    return re.sub(r"test_capture\.py:\d+", "HERE", str(caught.value))


@pytest.mark.parametrize(
    "conv",
    [
        nn.Conv2d(3, 5, 1),
        nn.Conv2d(3, 5, (2, 3), (2, 1), (1, 0), bias=False),
        nn.Conv2d(3, 5, 3, dilation=(2, 1), padding=2),
        nn.Conv2d(3, 5, 3, padding="same"),
        nn.Conv2d(3, 5, (3, 2), padding="valid"),
        nn.Conv2d(3, 5, (5, 3), padding="same", dilation=(1, 2)),
        nn.Conv2d(3, 3, 3, groups=3, bias=False),
        nn.Conv2d(3, 12, (2, 3), 2, groups=3),
    ],
)
def test_convolutions(conv):
    assert [node.name for node in captured(lambda m, x: m.conv(x), conv=conv).nodes] == [
        "x",
        "conv",
    ]


@pytest.mark.filterwarnings("ignore:Using padding='same' with even kernel")
def test_same_padding_of_an_even_kernel_puts_more_behind():
    graph = captured(lambda m, x: m.conv(x), conv=nn.Conv2d(3, 5, (4, 2), padding="same"))
    assert graph["conv"].window.padding == (1, 2, 0, 1)


@pytest.mark.parametrize(
    "function",
    [
        F.relu,
        F.relu6,
        F.hardtanh,
        torch.relu,
        lambda x: F.relu(x.clone(), inplace=True),
        lambda x: x.clamp(min=0.1),
        lambda x: torch.clamp(x, -0.5, 0.5),
        lambda x: x.clamp_max(0.25),
        lambda x: F.max_pool2d(x, 2),
        lambda x: F.max_pool2d(x, 3, 2, 1),
        lambda x: F.max_pool2d(x, (3, 2), ceil_mode=True),
        lambda x: F.max_pool2d(x, 2, 1, dilation=2),
        lambda x: F.avg_pool2d(x, 2),
        lambda x: F.avg_pool2d(x, 3, 1, 1),
        lambda x: F.avg_pool2d(x, (2, 3), divisor_override=4),
        lambda x: F.adaptive_avg_pool2d(x, 1),
        lambda x: F.adaptive_avg_pool2d(x, (4, None)),
        lambda x: F.adaptive_avg_pool2d(x, (7, 5)),
        lambda x: x.mean((2, 3)),
        lambda x: x.mean((-1, -2), keepdim=True),
        lambda x: x.mean(3, keepdim=True),
        lambda x: x + x.relu(),
        lambda x: torch.add(x, x),
        lambda x: torch.cat([x, x.relu()], 1),
        lambda x: torch.cat((x, x), dim=-3),
        lambda x: torch.cat([x.flatten(1), x.flatten(1)], 1),
        lambda x: x.flatten(1),
        lambda x: x.view(x.size(0), -1),
        lambda x: x.reshape(len(x), -1),
        lambda x: x.mean((2, 3), keepdim=True).squeeze(),
        lambda x: F.dropout(x, 0.5, training=False),
        lambda x: F.pad(x, (1, 0, 2, 3)),
        lambda x: F.pad(x, (0, 0, 0, 0, 2, 1)),
        lambda x: F.pad(x, (1, 1, 0, 1, 2, 1)),
        lambda x: x[:, :, ::2, ::2],
        lambda x: x[:, :, ::3],
        lambda x: x[..., ::2],
        lambda x: x.contiguous().float(),
        lambda x: (x, x.relu()),
        lambda x: [x.relu()],
    ],
)
def test_functional_forms(function):
    captured(lambda m, x: function(m.conv(x)), conv=nn.Conv2d(3, 4, 1))


def test_modules():
    graph = captured(
        lambda m, x: m.net(x),
        net=nn.Sequential(
            nn.Identity(),
            nn.ZeroPad2d((0, 1, 0, 1)),
            nn.Conv2d(3, 8, 3, 2),
            nn.BatchNorm2d(8, affine=False),
            nn.ReLU(inplace=True),
            nn.Dropout2d(),
            nn.MaxPool2d(2, ceil_mode=True),
            nn.Hardtanh(0, 4),
            nn.Flatten(),
            nn.Linear(32, 9, bias=False),
            nn.BatchNorm1d(9),
            nn.ReLU6(),
            nn.Linear(9, 3),
        ),
    )
    assert (
        str(graph)
        == """\
x = input() 3x8x6
net.1 = pad(x) 3x9x7 padding=(0,1,0,1)
net.2 = conv(net.1) 8x4x3 3x3 stride=(2,2) bias
net.3 = batchnorm(net.2) 8x4x3
net.4 = clamp(net.3) 8x4x3 low=0.0
net.6 = maxpool(net.4) 8x2x2 2x2 stride=(2,2) padding=(0,0,0,1)
net.7 = clamp(net.6) 8x2x2 low=0.0 high=4.0
net.8 = flatten(net.7) 32x1x1
net.9 = conv(net.8) 9x1x1 1x1
net.10 = batchnorm(net.9) 9x1x1
net.11 = clamp(net.10) 9x1x1 low=0.0 high=6.0
net.12 = conv(net.11) 3x1x1 1x1 bias
return net.12"""
    )


def test_vectors():
    graph = captured(lambda m, x: m.b(m.a(x).relu()), (7,), a=nn.Linear(7, 4), b=nn.Linear(4, 2))
    assert [node.name for node in graph.nodes] == ["x", "a", "relu", "b"]


def test_a_module_that_is_used_twice_gets_two_names():
    graph = captured(lambda m, x: m.conv(m.conv(x)), conv=nn.Conv2d(3, 3, 1))
    assert [node.name for node in graph.nodes] == ["x", "conv", "conv_1"]


def test_a_parametrized_weight_is_evaluated():
    conv = parametrizations.weight_norm(nn.Conv2d(3, 3, 1))
    captured(lambda m, x: m.conv(x), conv=conv)


def test_a_model_in_training_is_captured_in_evaluation_and_left_in_training():
    model = nn.Sequential(nn.Conv2d(3, 3, 1), nn.BatchNorm2d(3), nn.Dropout()).train()
    model[1].eval()
    before = {name: value.clone() for name, value in model.state_dict().items()}
    graph = capture(model, torch.randn(1, 3, 5, 5))
    assert [node.kind for node in graph.nodes] == ["input", "conv", "batchnorm"]
    assert [module.training for module in model.modules()] == [True, True, False, True]
    assert all(torch.equal(value, before[name]) for name, value in model.state_dict().items())


def test_what_no_output_needs_is_left_out():
    parts = {name: nn.Conv2d(3, 3, 1) for name in "abcdef"}
    with pytest.warns(QnnWarning) as caught:
        graph = captured(lambda m, x: (m.a(x), m.b(x))[1], **parts)
    assert [node.name for node in graph.nodes] == ["x", "b"]
    assert [str(warning.message) for warning in caught] == [
        "weights of 'a', 'c', 'd' and 2 more are read by no output; they are left out"
    ]


@pytest.mark.parametrize(
    ("function", "parts", "text"),
    [
        (
            lambda m, x: x + torch.arange(96.0).view(2, 1, 8, 6),
            {},
            "model (aten.add, HERE) needs a constant that is the same for all images, not one that "
            "differs from image to image; give it as an input of the network",
        ),
        (
            lambda m, x: x / 0,
            {},
            "model (aten.div, HERE) needs a divisor other than 0, not 0; correct the constant",
        ),
        (
            lambda m, x: x * float("inf"),
            {},
            "model (aten.mul, HERE) needs a finite other, not NaN or infinity; correct the "
            "constant",
        ),
        (
            lambda m, x: m.a(x) * torch.ones(3, 1, 1),
            {"a": nn.Conv2d(3, 1, 1)},
            "model (aten.mul, HERE) needs constants that leave the shape (1, 8, 6) as it is, not "
            "constants of 1 channels that make it (3, 8, 6); repeat the tensor in the model first",
        ),
        (
            lambda m, x: torch.atan2(m.a(x), m.b(x)),
            {"a": nn.Conv2d(3, 3, 1), "b": nn.Conv2d(3, 3, 1)},
            "model (aten.atan2, HERE) needs operands that are functions of one tensor, not 2 "
            "tensors that differ; compute it in layers, or leave it to the host",
        ),
        (
            lambda m, x: torch.nn.functional.rrelu(x, training=True),
            {},
            "model (aten.rrelu, HERE) needs no random numbers, not training=True; pass "
            "training=self.training",
        ),
        (
            lambda m, x: F.pad(x, (1, 1), value=-1e9),
            {},
            "model (aten.pad, HERE) needs a padding of at most 10000, not value=-1000000000.0; pad "
            "with a number that the image may have",
        ),
        (
            lambda m, x: F.batch_norm(x, None, None, training=True),
            {},
            "model (aten.batch_norm, HERE) needs running statistics, not statistics of the "
            "batch; build it with track_running_stats=True, and export it in evaluation "
            "(model.eval())",
        ),
        (
            lambda m, x: x.mean(0, keepdim=True),
            {},
            "model (aten.mean, HERE) needs a reduction of one image, not the axis of the "
            "batch; name the other axes, as in x.mean((2, 3))",
        ),
        (
            lambda m, x: x.double(),
            {},
            "model (aten.to, HERE) needs float32, not torch.float64; leave casts and autocast out",
        ),
        (
            lambda m, x: (m.conv(x), m.conv.weight),
            {"conv": nn.Conv2d(3, 3, 1)},
            "model output needs to be a tensor, or a tuple of tensors, computed from the input; "
            "return nothing else",
        ),
        (
            lambda m, x: (x, "name"),
            {},
            "model output needs to be a tensor, or a tuple of tensors, computed from the input, "
            "not str; return tensors in a tuple, list or dictionary",
        ),
        (
            lambda m, x: x if x.sum() > 0 else -x,
            {},
            None,
        ),
    ],
)
def test_what_is_refused_is_named(function, parts, text):
    got = refusal(function, **parts)
    if text is None:
        pattern = (
            r"model \(HERE\) cannot be captured by torch\.export: .*; make its forward independent "
            r"of the data's values"
        )
        assert re.fullmatch(pattern, got)
    else:
        assert got == text


def test_parameters_of_another_kind_are_refused():
    assert refusal(lambda m, x: m.conv(x), conv=nn.Conv2d(3, 4, 1).double()) == (
        "model needs float32 parameters, but 'conv.weight' is torch.float64; give model.float()"
    )


def test_a_refusal_of_torch_export_is_one_line_without_its_log(capfd):
    refusal(lambda m, x: x if x.sum() > 0 else -x)
    assert capfd.readouterr() == ("", "")


def test_weights_that_are_not_finite_are_refused():
    conv = nn.Conv2d(3, 3, 1)
    conv.weight.data[0, 0] = float("nan")
    assert refusal(lambda m, x: m.conv(x), conv=conv) == (
        "layer 'conv' (aten.conv2d, HERE) needs a finite weight, not NaN or infinity; train or "
        "load it again"
    )
    norm = nn.BatchNorm2d(3)
    norm.running_var[1] = float("inf")
    assert refusal(lambda m, x: m.norm(x), norm=norm) == (
        "layer 'norm' (aten.batch_norm, HERE) needs a finite running_var, not NaN or infinity; "
        "train or load it again"
    )


def test_a_normalised_channel_without_range_is_refused():
    norm = nn.BatchNorm2d(3, eps=0.0)
    norm.running_var[1] = 0
    assert refusal(lambda m, x: m.norm(x), norm=norm) == (
        "layer 'norm' (aten.batch_norm, HERE) needs variance plus eps over 0 in every channel, not "
        "0.0 in channel 1; give eps a positive value or remove the channel"
    )


def test_an_input_that_the_model_does_not_take_is_refused():
    with pytest.raises(ModelError) as caught:
        capture(nn.Conv2d(3, 3, 1), torch.zeros(1, 4, 5, 5))
    assert str(caught.value) == (
        "model cannot take input of shape (4, 5, 5) (without batch): Given groups=1, weight of "
        "size [3, 3, 1, 1], expected input[2, 4, 5, 5] to have 3 channels, but got 4 channels "
        "instead; give data of the shape that the model takes"
    )
    with pytest.raises(ModelError) as caught:
        capture(nn.Identity(), torch.zeros(1, 3, 4, 5, 6, 7))
    assert str(caught.value) == (
        "model input 'input' needs shape (batch, channels, height, width), (batch, channels, "
        "depth, height, width), (batch, channels, length) or (batch, features), not (batch, 3, 4, "
        "5, 6, 7); join the axes that are more"
    )


def test_a_transposed_convolution_of_a_plain_ones_shape_is_told_from_it():
    weight = torch.randn(3, 3, 3, 3)

    def general(transposed):
        def run(model, x):
            sizes = [1, 1], [1, 1], [1, 1]
            return torch.convolution(x, weight, None, *sizes, transposed, [0, 0], 1)

        return run

    assert captured(general(False)).nodes[-1].kind == "conv"
    assert captured(general(True)).nodes[-1].kind == "transposed"


def test_an_input_that_is_changed_in_place_is_no_output():
    def changed(model, x):
        x.clamp_(min=0.1)
        x += x.relu()
        return model.conv(x)

    torch.manual_seed(0)
    model, x = Made(changed, conv=nn.Conv2d(3, 4, 1)).eval(), torch.randn(2, 3, 8, 6)
    given = x.clone()
    graph = capture(model, x)
    assert torch.equal(x, given)
    assert [output.name for output in graph.outputs] == ["conv"]
    with torch.no_grad():
        torch.testing.assert_close(run(graph, x)["conv"], model(given))


class Counting(nn.Module):
    """Counts its runs, and keeps what it computed last."""

    def __init__(self):
        super().__init__()
        self.conv = nn.Conv2d(3, 4, 1)
        self.register_buffer("runs", torch.zeros((), dtype=torch.long))
        self.register_buffer("last", torch.zeros(2, 4, 8, 6))

    def forward(self, x):
        self.runs += 1
        self.last.copy_(self.conv(x))
        return self.last.relu()


def test_a_counter_is_no_output_and_a_model_is_left_as_it_was():
    model = Counting()
    graph = capture(model, torch.randn(2, 3, 8, 6))
    assert [node.kind for node in graph.nodes] == ["input", "conv", "clamp"]
    assert [output.name for output in graph.outputs] == ["relu"]
    assert not model.runs
    assert not model.last.any()


def test_a_state_that_one_run_leaves_to_the_next_is_refused():
    class Recurrent(Counting):
        def forward(self, x):
            self.last.add_(self.conv(x))
            return self.last.relu()

    with pytest.raises(ModelError) as caught:
        capture(Recurrent(), torch.randn(2, 3, 8, 6))
    assert str(caught.value) == (
        "model output needs to depend on the input alone, but 'last' is changed by each run "
        "and read by the next; take it as an input and return it"
    )
