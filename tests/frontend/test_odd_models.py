"""Models as people have them: each is captured right, or rejected in one clear line."""

import dataclasses
import io
from collections import namedtuple
from contextlib import suppress

import pytest
import torch
import torch.nn.functional as F
from torch import distributed, nn
from torch.nn.utils import parametrizations, parametrize, prune
from torch.optim.swa_utils import AveragedModel
from torch.utils import _pytree
from torch.utils.checkpoint import checkpoint

from qnn.errors import ModelError
from qnn.frontend.capture import capture
from tests.float_results import float_results
from tests.release import KEEPS_ATTRIBUTES

IMAGES = torch.randn(4, 3, 8, 8, generator=torch.Generator().manual_seed(0))
Pair = namedtuple("Pair", "first second")


@dataclasses.dataclass
class Result:
    """An output that PyTorch knows nothing of."""

    logits: torch.Tensor


class Made(nn.Module):
    """A module whose forward is a function of the test's."""

    def __init__(self, function, **parts):
        super().__init__()
        self.function = function
        for name, part in parts.items():
            setattr(self, name, part)

    def forward(self, x):
        return self.function(self, x)


# Where errors of such a module say that they come from.
HERE = f"test_odd_models.py:{Made.forward.__code__.co_firstlineno + 1}"


def conv(channels=3):
    return nn.Conv2d(3, channels, 3, padding=1)


def small():
    """A network of usual layers."""
    layers = (nn.Conv2d(3, 4, 3), nn.BatchNorm2d(4), nn.ReLU(), nn.AdaptiveAvgPool2d(1))
    return nn.Sequential(*layers, nn.Flatten(), nn.Linear(4, 2)).eval()


def changed(change):
    """The usual network after ``change``, which may give another or none."""
    model = small()
    return change(model) or model


def exported(model=None, images=IMAGES, **options):
    return torch.export.export(model or small(), (images,), **options)


class Keyword(nn.Module):
    """Options beside its input, none of which is needed."""

    def __init__(self):
        super().__init__()
        self.conv = conv()

    def forward(self, x, mask=None, *, scale=1.0, names=("a",)):
        y = self.conv(x)
        return y if mask is None else y * mask * scale


class ByKeyword(Keyword):
    def forward(self, *, x):
        return self.conv(x)


class Several(Keyword):
    def forward(self, *inputs):
        return self.conv(inputs[0])


class ByName(Keyword):
    def forward(self, batch):
        return self.conv(batch["image"])


class AlwaysTraining(nn.BatchNorm2d):
    def train(self, mode=True):
        return super().train(True)


class Halved(nn.Module):
    """A parametrization."""

    def forward(self, weight):
        return weight / 2


class Clipped(torch.autograd.Function):
    """A function with a gradient of its own."""

    @staticmethod
    def forward(ctx, x):
        return x.clamp(min=0)


def quiet(model, x):
    with torch.no_grad():
        x = model.conv(x)
    with torch.enable_grad():
        return model.conv(x)


def mixed(model, x):
    with torch.autocast("cpu", dtype=torch.bfloat16):
        return model.conv(x)


def counted(model, x):
    model.count = getattr(model, "count", 0) + 1
    return model.conv(x)


def remembered(model, x):
    model.last = model.conv(x)
    return model.last.relu()


def unused(model, x):
    # Nothing reads it: it may be what it is.
    torch.sigmoid(x).sort()
    return model.conv(x)


def register(model, **buffers):
    for name, buffer in buffers.items():
        model.register_buffer(name, buffer)
    return model


def loaded(script):
    file = io.BytesIO()
    torch.jit.save(script, file)
    file.seek(0)
    return torch.jit.load(file)


def doubled(model):
    model[1].running_mean = model[1].running_mean.double()


def shared():
    layer = conv()
    return nn.Sequential(layer, nn.ReLU(), layer, nn.ReLU(), layer)


def tied():
    layers = nn.Sequential(conv(), nn.ReLU(), conv())
    layers[2].weight = layers[0].weight
    return layers


class InPlace(nn.Module):
    """A forward that torch.compile took, and a layer that compiled itself."""

    def __init__(self):
        super().__init__()
        self.conv = conv()
        self.conv.compile()
        self.forward = torch.compile(self.forward)

    def forward(self, x):
        return self.conv(x).relu()


class Averaging(nn.Module):
    """What torch.optim.swa_utils keeps beside a network that learns."""

    def __init__(self):
        super().__init__()
        self.averaged = AveragedModel(small())

    def forward(self, x):
        return self.averaged(x)


TAKEN = {
    "a program of torch.export": exported,
    "a program in core ATen": lambda: exported().run_decompositions(),
    "the module of a program": lambda: exported().module(),
    "a program of one image": lambda: exported(images=IMAGES[:1]).module(),
    "a program of any number of images": lambda: exported(
        dynamic_shapes=({0: torch.export.Dim("batch")},)
    ),
    "a compiled module": lambda: torch.compile(small()),
    "a compiled layer": lambda: changed(lambda m: m.__setitem__(0, torch.compile(m[0]))),
    "a compiled layer inside": lambda: nn.Sequential(conv(), nn.Sequential(torch.compile(conv()))),
    "a function that is compiled": lambda: Made(
        lambda m, x: m.halved(m.conv(x)), conv=conv(), halved=torch.compile(lambda x: x / 2)
    ),
    "a forward that is compiled": InPlace,
    "a module of several devices": lambda: nn.DataParallel(small()),
    "a model in training": lambda: small().train(),
    "channels last": lambda: small().to(memory_format=torch.channels_last),
    "shared layers": shared,
    "tied weights": tied,
    "a graph of torch.fx": lambda: torch.fx.symbolic_trace(small()),
    "a traced graph in training": lambda: torch.fx.symbolic_trace(small()).train(),
    "a compiled module of several devices": lambda: torch.compile(nn.DataParallel(small())),
    "several devices of a compiled module": lambda: nn.DataParallel(torch.compile(small())),
    "averaged weights": Averaging,
    "an old weight norm": lambda: nn.Sequential(nn.utils.weight_norm(conv())),
    "an old spectral norm": lambda: nn.Sequential(nn.utils.spectral_norm(conv())),
    "an orthogonal weight": lambda: nn.Sequential(parametrizations.orthogonal(conv())),
    "weight norm": lambda: nn.Sequential(parametrizations.weight_norm(conv())),
    "spectral norm": lambda: nn.Sequential(parametrizations.spectral_norm(conv())),
    "a parametrization": lambda: changed(
        lambda m: parametrize.register_parametrization(m[0], "weight", Halved()) and None
    ),
    "pruned weights": lambda: changed(
        lambda m: prune.l1_unstructured(m[0], "weight", 0.5) and None
    ),
    "a functional call": lambda: Made(
        lambda m, x: torch.func.functional_call(m.net, dict(m.net.named_parameters()), (x,)),
        net=small(),
    ),
    "checkpointing": lambda: Made(
        lambda m, x: checkpoint(m.conv, x, use_reentrant=False), conv=conv()
    ),
    "gradient modes": lambda: Made(quiet, conv=conv()),
    "a function with its own gradient": lambda: Made(
        lambda m, x: Clipped.apply(m.conv(x)), conv=conv()
    ),
    "a hook before a layer": lambda: changed(
        lambda m: m[0].register_forward_pre_hook(lambda layer, given: (given[0].relu(),)) and None
    ),
    "an attribute that counts": lambda: Made(counted, conv=conv()),
    "an attribute of a layer that keeps": lambda: nn.Sequential(Made(remembered, conv=conv())),
    "work that nothing reads": lambda: Made(unused, conv=conv()),
    "a clamp by channel": lambda: Made(
        lambda m, x: m.conv(x).clamp(max=m.high),
        conv=conv(),
        high=nn.Parameter(torch.ones(3, 1, 1)),
    ),
    "a clamp by a constant tensor": lambda: Made(
        lambda m, x: torch.clamp(m.conv(x), min=m.low),
        conv=conv(),
        low=nn.Parameter(torch.tensor(-0.1)),
    ),
    "weights that are computed": lambda: Made(
        lambda m, x: F.conv2d(x, torch.cat(m.w.chunk(2)[::-1]).sort(0)[0] * 0.5),
        w=nn.Parameter(torch.randn(4, 3, 3, 3)),
    ),
    "complex buffers": lambda: register(
        Made(lambda m, x: F.conv2d(x, m.w.real)), w=torch.randn(2, 3, 1, 1, dtype=torch.cfloat)
    ),
    "inputs that have defaults": Keyword,
    "any number of inputs": Several,
    "an input returned": lambda: Made(lambda m, x: x),
    "an output twice": lambda: Made(lambda m, x: [m.conv(x)] * 2, conv=conv()),
    "a dictionary": lambda: Made(lambda m, x: {"a": m.conv(x), "b": x.mean((2, 3))}, conv=conv()),
    "nested outputs": lambda: Made(
        lambda m, x: (m.conv(x), [x.relu(), {"k": (x.mean((2, 3)), None)}]), conv=conv()
    ),
    "a named tuple": lambda: Made(lambda m, x: Pair(m.conv(x), x.relu()), conv=conv()),
    "zeros around a vector": lambda: Made(lambda m, x: F.pad(x.flatten(1), (1, 2))),
    "a child that is called as an operator": lambda: Made(
        lambda m, x: m.relu(F.relu(m.conv(x))), conv=conv(), relu=conv()
    ),
    "no layer at all": nn.Sequential,
}


if KEEPS_ATTRIBUTES:
    TAKEN["an attribute that keeps"] = lambda: Made(remembered, conv=conv())


# Of PyTorch's own, which differ with its releases.
@pytest.mark.filterwarnings("ignore::FutureWarning", "ignore::DeprecationWarning")
@pytest.mark.parametrize("name", TAKEN)
def test_a_model_is_captured_right(name):
    torch.manual_seed(0)
    model = TAKEN[name]()
    graph = capture(model, IMAGES)
    module = model.module() if isinstance(model, torch.export.ExportedProgram) else model
    # Modules of torch.export refuse to be changed.
    with suppress(NotImplementedError):
        module.eval()
    # What torch.compile would compile takes seconds, and computes what the module does.
    module = getattr(module, "_orig_mod", module)
    images = IMAGES[:1] if "one image" in name else IMAGES
    with torch.no_grad(), torch.compiler.set_stance("force_eager"):
        wanted = [x for x in _pytree.tree_leaves(module(images.clone())) if x is not None]
    for got, expected in zip(float_results(graph, images), wanted, strict=True):
        torch.testing.assert_close(got, expected, atol=1e-4, rtol=1e-4)


SCRIPT = (
    "needs to be Python's nn.Module, not TorchScript; give the module that it was scripted or "
    "traced from, with its weights loaded"
)
OUTPUT = "model output needs to be a tensor, or a tuple of tensors, computed from the input"
RETURN = "return tensors in a tuple, list or dictionary"
BATCH = (
    "needs running statistics, not statistics of the batch; build it with "
    "track_running_stats=True, and export it in evaluation (model.eval())"
)
REFUSED = {
    "TorchScript": (lambda: torch.jit.script(small()), f"model {SCRIPT}"),
    "a scripted layer": (
        lambda: changed(lambda m: m.__setitem__(0, torch.jit.script(m[0]))),
        f"layer '0' {SCRIPT}",
    ),
    "a program of training": (
        lambda: exported(small().train()),
        f"layer '1' (aten.batch_norm) {BATCH}",
    ),
    "a layer that always trains": (
        lambda: nn.Sequential(conv(), AlwaysTraining(3)),
        f"layer '1' (aten.batch_norm) {BATCH}",
    ),
    "a clamp by a tensor of the input": (
        lambda: Made(lambda m, x: torch.clamp(m.conv(x), min=x), conv=conv()),
        "model (aten.clamp, HERE) needs operands that are functions of one tensor, not 2 tensors "
        "that differ; compute it in layers, or leave it to the host",
    ),
    "halves": (
        lambda: small().half(),
        "model needs float32 parameters, but '0.weight' is torch.float16; give model.float()",
    ),
    "doubles": (
        lambda: small().double(),
        "model needs float32 parameters, but '0.weight' is torch.float64; give model.float()",
    ),
    "short reals": (
        lambda: small().bfloat16(),
        "model needs float32 parameters, but '0.weight' is torch.bfloat16; give model.float()",
    ),
    "a traced TorchScript": (lambda: torch.jit.trace(small(), IMAGES), f"model {SCRIPT}"),
    "TorchScript of a file": (lambda: loaded(torch.jit.trace(small(), IMAGES)), f"model {SCRIPT}"),
    "TorchScript of several devices": (
        lambda: nn.DataParallel(torch.jit.trace(small(), IMAGES)),
        f"model {SCRIPT}",
    ),
    "a buffer of doubles": (
        lambda: changed(doubled),
        "model needs float32 buffers, but '1.running_mean' is torch.float64; give model.float()",
    ),
    "autocast": (
        lambda: Made(mixed, conv=conv()),
        "model (aten.to) needs float32, not torch.bfloat16; leave casts and autocast out",
    ),
    "weights without values": (
        lambda: small().to("meta"),
        "model needs weights, but '0.weight' is on device meta, without values; build it on the "
        "CPU, and load its weights",
    ),
    "lazy layers": (
        lambda: nn.Sequential(nn.LazyConv2d(4, 3)),
        "model needs weights, but '0.weight' has no shape yet; run the model once, and load its "
        "weights",
    ),
    "inputs by keyword": (
        ByKeyword,
        "model needs to take its inputs by place, but forward takes 'x' by keyword alone; take the "
        "* out of forward, or give it a default",
    ),
    "an output of a class": (
        lambda: Made(lambda m, x: Result(m.conv(x)), conv=conv()),
        f"{OUTPUT}, not Result; {RETURN}",
    ),
    "no output": (lambda: Made(lambda m, x: None), f"{OUTPUT}; {RETURN}"),
    "a number as an output": (
        lambda: Made(lambda m, x: (x, 1.5)),
        f"{OUTPUT}, not float; {RETURN}",
    ),
    "a parameter as an output": (
        lambda: Made(lambda m, x: (x, m.w), w=nn.Parameter(torch.ones(3))),
        f"{OUTPUT}; return nothing else",
    ),
    "random weights": (
        lambda: Made(lambda m, x: F.conv2d(x, torch.randn(4, 3, 3, 3))),
        "model (aten.randn, HERE) needs no random numbers; take them as an input, or leave them "
        "out",
    ),
    "vectors and images added": (
        lambda: Made(lambda m, x: x.mean((2, 3)) + x.mean((2, 3), keepdim=True)),
        "model (aten.add, HERE) needs two tensors of as many axes, not 2 and 4; give features that "
        "meet images two axes more, x[:, :, None, None]",
    ),
    "a sum without images": (
        lambda: Made(lambda m, x: m.conv(x).mean(), conv=conv()),
        "model (aten.mean, HERE) needs a reduction of one image, not all axes; name the other "
        "axes, as in x.mean((2, 3))",
    ),
}


@pytest.mark.filterwarnings("ignore")
@pytest.mark.parametrize(("build", "text"), REFUSED.values(), ids=REFUSED)
def test_a_model_is_refused_in_one_line(build, text):
    with pytest.raises(ModelError) as caught:
        capture(build(), IMAGES)
    assert str(caught.value).replace(HERE, "HERE") == text


# Their texts are PyTorch's in part.
FAILING = {
    "an input by name": ByName,
    "a lookup that fails": lambda: Made(lambda m, x: {}["nothing"]),
    "an assertion": lambda: Made(lambda m, x: x[: len(x) // 0]),
    "NumPy in between": lambda: Made(lambda m, x: torch.from_numpy(x.numpy()) + x),
    "no forward": nn.Module,
    "quantized layers": lambda: torch.ao.quantization.quantize_dynamic(small(), {nn.Linear}),
    "an item": lambda: Made(lambda m, x: x * x.max().item()),
    "a condition": lambda: Made(
        lambda m, x: torch.cond(x.sum() > 0, lambda y: y.relu(), lambda y: -y, (x,))
    ),
    "recurrence": lambda: Made(lambda m, x: m.a(x.mean(1))[0], a=nn.LSTM(8, 4)),
    "an embedding": lambda: Made(
        lambda m, x: m.a((x.mean((1, 2, 3)) > 0).long()), a=nn.Embedding(2, 4)
    ),
}


@pytest.mark.filterwarnings("ignore")
@pytest.mark.parametrize("build", FAILING.values(), ids=FAILING)
def test_a_model_that_cannot_be_read_is_no_traceback(build, capfd):
    with pytest.raises(ModelError, match=r"^(model|layer .*) ") as caught:
        capture(build(), IMAGES)
    assert "; " in str(caught.value)
    assert capfd.readouterr() == ("", "")


@pytest.mark.skipif(KEEPS_ATTRIBUTES, reason="this release of PyTorch takes it")
def test_an_attribute_that_keeps_a_tensor_is_refused_with_what_to_do():
    with pytest.raises(ModelError) as caught:
        capture(Made(remembered, conv=conv()), IMAGES)
    text = str(caught.value)
    assert text.startswith(
        "model cannot be captured by torch.export: The tensor attribute self.last"
    )
    assert text.endswith("; keep it in a variable of forward, or take torch 2.13")


@pytest.mark.filterwarnings("ignore")
def test_what_trains_in_several_processes_is_captured_as_its_module():
    torch.manual_seed(0)
    model = small()
    distributed.init_process_group("gloo", store=distributed.HashStore(), rank=0, world_size=1)
    try:
        wrapped = nn.parallel.DistributedDataParallel(model)
        assert str(capture(wrapped, IMAGES)) == str(capture(model, IMAGES))
    finally:
        distributed.destroy_process_group()
