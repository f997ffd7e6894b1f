"""Names of a float graph's operators, each its own: of the user's modules where they can be."""

from collections.abc import Container
from dataclasses import dataclass, field

from torch import fx

from qnn.frontend.faults import module_of, target_of

# Modules that compute one thing: PyTorch's layers and Brevitas', and the nodes of an ONNX graph.
LEAVES = ("torch.nn.modules.", "brevitas.nn.", "qnn.frontend.brevitas.", "qnn.frontend.onnx.")


@dataclass
class Names:
    """Gives names.

    Members
    -------
    taken : names that operators have
    counts : for each name without a number the last number that was behind it
    """

    taken: Container[str]
    counts: dict[str, int] = field(default_factory=dict)

    def of(self, node: fx.Node) -> str:
        """The path of the module, and the operator after it where the module computes more."""
        path, kind = module_of(node)
        called = target_of(node).split(".")[-1].strip("_")
        leaf = path and kind.startswith(LEAVES)
        return self.fresh(path if leaf else f"{path}.{called}".strip("."))

    def fresh(self, name: str) -> str:
        """``name``, with the least number behind it that makes it one of its own."""
        count = self.counts.get(name, 0)
        result = f"{name}_{count}" if count else name
        while result in self.taken:
            count += 1
            result = f"{name}_{count}"
        self.counts[name] = count  # all below are taken, and stay so
        return result
