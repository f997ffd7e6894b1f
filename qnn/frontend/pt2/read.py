"""A module of PyTorch from a file of torch.export: ``qnn.from_pt2``."""

from pathlib import Path

import torch
from torch import Tensor, fx
from torch._subclasses import FakeTensorMode

from qnn.errors import first_line
from qnn.frontend.pt2.archive import AGAIN, Pt2Archive, read_archive
from qnn.frontend.pt2.arguments import MOST
from qnn.frontend.pt2.module import module_of
from qnn.frontend.pt2.tensors import tensors_of

MOST_VALUES = 1 << 28  # of one tensor, 1 GiB of reals: more than any layer that an array takes


def from_pt2(path: str | Path) -> fx.GraphModule:
    """The float network in a ``.pt2`` file, as a module that ``quantize`` and all else takes.

    The file is what ``torch.export.save`` of torch 2.6 or newer wrote, whichever of them is
    installed here. Nothing in it is run or unpickled: calls are read from its JSON and may name
    ATen's operators alone, and weights are raw numbers or what PyTorch's reader of weights takes.

    Raises
    ------
    QnnError
        There is no such file, or it is no program of torch.export.
    FaultyModel
        It calls what a file may not name; it names each.
    """
    archive = read_archive(Path(path))
    module = module_of(archive, tensors_of(archive))
    _check_sizes(archive, module)
    return module


class _TooLargeError(Exception):
    """A result that no network has."""


class _Bounded(fx.Interpreter):
    """The program by its shapes alone."""

    def run_node(self, n: fx.Node):
        result = super().run_node(n)
        for each in result if isinstance(result, tuple | list) else (result,):
            if isinstance(each, Tensor) and each.numel() > MOST_VALUES:
                raise _TooLargeError(f"of {MOST_VALUES:,} values at most, not {each.numel():,}")
            if isinstance(each, int) and abs(each) > MOST:
                raise _TooLargeError(f"below {MOST:,}")
        return result


def _check_sizes(archive: Pt2Archive, module: fx.GraphModule) -> None:
    """Return if the program runs and makes nothing too large, before anything of it is computed."""
    nodes = module.graph.find_nodes(op="placeholder")
    examples = getattr(module, "example_input_array", [node.meta.get("val") for node in nodes])
    try:
        with torch.no_grad(), FakeTensorMode(allow_non_fake_inputs=True):
            given = [torch.empty(each.shape, dtype=each.dtype) for each in examples]
            _Bounded(module).run(*given)
    except _TooLargeError as error:
        text = f"a program needs results {first_line(error)}; export a smaller network"
        raise archive.refused(text) from None
    except Exception as error:  # any: PyTorch's own, of calls that cannot be as they are
        raise archive.refused(
            f"PyTorch cannot follow the program ({first_line(error):.200}); {AGAIN}"
        ) from None
