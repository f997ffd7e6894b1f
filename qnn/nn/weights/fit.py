"""Whether tensors of a checkpoint suit a model, and all that keeps them from it, at once."""

from collections.abc import Mapping
from difflib import get_close_matches

import torch
from torch import Tensor
from torch.nn.parameter import is_lazy

MOST = 8  # names that a list shows; of a wrong network all differ
# Less alike names are no help.
ALIKE = 0.5


def differences(wanted: Mapping[str, Tensor], state: Mapping[str, object]) -> str:
    """All names and shapes in which ``state`` differs from a model's, in words; empty if none.

    Parameters
    ----------
    wanted : the model's state, with its parameters themselves, so that tied ones are one object
    """
    lacking = _lacking(wanted, state)
    # Nearest among what the model has no name for: a renamed layer is in both lists.
    unknown = [name for name in state if name not in wanted]
    shapes = [_shapes(name, wanted[name], state[name]) for name in wanted if name in state]
    shapes = [text for text in shapes if text]
    parts = []
    if lacking:
        near = [_with_nearest(name, wanted[name], unknown, state) for name in lacking[:MOST]]
        parts.append(f"it lacks {_counted(lacking)}{_listed(near, len(lacking))}")
    if unknown:
        quoted = [f"'{name}'" for name in unknown[:MOST]]
        parts.append(f"the model has no {_listed(quoted, len(unknown))}")
    if shapes:
        parts.append(f"its {_listed(shapes[:MOST], len(shapes))}")
    return "; ".join(parts)


def folded(wanted: Mapping[str, Tensor], state: Mapping[str, object]) -> tuple[str, str] | None:
    """What to say where normalisations were folded into the layers before them, and what to do.

    The file then lacks all of a normalisation, and has at most biases that the model lacks.
    """
    lacking = _lacking(wanted, state)
    layers = {name.rpartition(".")[0] for name in lacking}
    norms = all(
        f"{layer}.running_mean" in wanted and f"{layer}.running_mean" not in state
        for layer in layers
    )
    unknown = [name for name in state if name not in wanted]
    biases = all(
        name.endswith(".bias") and name.removesuffix("bias") + "weight" in wanted
        for name in unknown
    )
    if not lacking or not norms or not biases or len(state) == len(unknown):
        return None
    names = [f"'{layer}'" for layer in sorted(layers)]
    said = f"normalisation{'s' * (len(names) > 1)} {_listed(names[:MOST], len(names))}"
    return (
        f"it lacks {said}, as if folded into the layers before",
        "give the checkpoint from before that, or a model with biases and no normalisations",
    )


def _lacking(wanted, state):
    held = {id(wanted[name]) for name in state if name in wanted}
    return [
        name
        for name, tensor in wanted.items()
        # Old versions of PyTorch lack these counters, which evaluation does not read. Of tied
        # weights one name is enough.
        if name not in state
        and not name.endswith(("num_batches_tracked", "_extra_state"))
        and id(tensor) not in held
    ]


def _counted(names):
    return "" if len(names) == 1 else f"{len(names)} tensors: "


def _listed(texts, count):
    more = f" and {count - len(texts)} more" if count > len(texts) else ""
    return ", ".join(texts) + more


def _with_nearest(name, tensor, unknown, state):
    # Of one shape first: names of other layers may be as close.
    fitting = [each for each in unknown if _shape(state[each]) == _shape(tensor)]
    near = get_close_matches(name, fitting, 1, ALIKE) or get_close_matches(name, unknown, 1, ALIKE)
    return f"'{name}'" + (f" (nearest: '{near[0]}')" if near else "")


def _shape(tensor):
    return None if not isinstance(tensor, Tensor) or is_lazy(tensor) else tuple(tensor.shape)


def _shapes(name, wanted, found):
    got, needs = _shape(found), _shape(wanted)
    if got is None and isinstance(wanted, Tensor):
        return f"'{name}' is no tensor"
    # A number alone is saved with one dimension or with none.
    if got == needs or needs is None or (needs == () and got == (1,)):
        return ""
    return f"'{name}' has shape {got}, not {needs}"


def unusable(wanted: Mapping[str, Tensor], state: Mapping[str, Tensor]) -> str:
    """What keeps values of fitting tensors from being the model's weights; empty if nothing."""
    kinds: dict[str, list[str]] = {}
    for name, tensor in state.items():
        if isinstance(wanted[name], Tensor) and (reason := _reason(wanted[name], tensor)):
            kinds.setdefault(reason, []).append(f"'{name}'")
    texts = [
        f"{_listed(names[:MOST], len(names))} {'is' if len(names) == 1 else 'are'} {reason}"
        for reason, names in kinds.items()
    ]
    return "; ".join([*texts, *_untied(wanted, state)])


def _reason(wanted, tensor):
    kind = str(tensor.dtype).removeprefix("torch.")
    if tensor.is_meta:
        return "without values, on device 'meta'"
    if tensor.is_complex():
        return f"{kind}, whose imaginary part no layer takes"
    if tensor.layout != torch.strided or tensor.is_quantized:
        return f"{kind} in a sparse or quantized form"
    if wanted.is_floating_point() and (not tensor.is_floating_point() or tensor.itemsize < 2):
        return f"{kind}, a code without the scale that makes it a weight"
    if not bool(torch.isfinite(tensor.to(wanted.dtype)).all()):
        return f"NaN or infinite as {str(wanted.dtype).removeprefix('torch.')}"
    if not wanted.is_floating_point() and not bool((tensor.to(wanted.dtype) == tensor).all()):
        return f"{kind} with fractions, where the model has integers"
    return ""


def _untied(wanted, state):
    """Names that are one tensor in the model and differ in the checkpoint."""
    first: dict[int, str] = {}
    texts = []
    for name, tensor in state.items():
        other = first.setdefault(id(wanted[name]), name)
        if other != name and not torch.equal(state[other].to(tensor.dtype), tensor):
            texts.append(f"'{other}' and '{name}' differ, but are one tensor in the model")
    return texts
