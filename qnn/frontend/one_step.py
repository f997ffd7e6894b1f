"""OneStep: the operators of one step of a recurrence, of tensors that are computed or constant.

The state that a recurrence begins with is mostly zeros. What depends on constants alone is computed
here, so that the first step has no operators that multiply zeros.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from types import MappingProxyType

import torch
import torch.nn.functional as F
from torch import Tensor

from qnn.frontend.materialise import Materialise
from qnn.frontend.ops.add import Add
from qnn.frontend.ops.affine import affine_of
from qnn.frontend.ops.clamp import Clamp
from qnn.frontend.ops.conv import pointwise
from qnn.frontend.ops.function import FloatFunction
from qnn.frontend.ops.multiply import FloatMultiply
from qnn.frontend.ops.operator import FloatOperator
from qnn.functions.elementwise import IDENTITY, applied_to

Term = FloatOperator | Tensor  # a vector: computed, or a constant (features,)
ACTIVATIONS: Mapping[str, Callable[[Tensor], Tensor]] = MappingProxyType(
    {"sigmoid": torch.sigmoid, "tanh": torch.tanh, "relu": torch.relu}
)


@dataclass(frozen=True)
class OneStep:
    """Adds operators of one step to a graph.

    Members
    -------
    name : of the step, before the names of its operators
    make : takes operators into the graph
    """

    name: str
    make: Materialise

    def linear(self, part: str, x: Term, weight: Tensor, bias: Tensor | None = None) -> Term:
        """``weight @ x + bias``; the weight is (outputs, inputs)."""
        if isinstance(x, Tensor):
            return F.linear(x, weight, bias)
        return self._added(pointwise(f"{self.name}.{part}", x, weight, bias))

    def activated(self, part: str, kind: str, x: Term) -> Term:
        """The activation function ``kind`` of ``x``."""
        if isinstance(x, Tensor):
            return ACTIVATIONS[kind](x)
        name, common = f"{self.name}.{part}", {"inputs": (x.name,), "shape": x.shape}
        if kind == "relu":
            return self._added(Clamp(name=name, **common, low=0.0, high=None))
        function = applied_to(f"{kind}.default", [IDENTITY])
        return self._added(FloatFunction(name=name, **common, function=function))

    def sum(self, part: str, x: Term, y: Term) -> Term:
        """``x + y``."""
        if isinstance(x, Tensor) and isinstance(y, Tensor):
            return x + y
        if isinstance(x, Tensor):
            return self._affine(part, y, 1.0, x)
        if isinstance(y, Tensor):
            return self._affine(part, x, 1.0, y)
        return self._added(self._of_two(Add, part, x, y))

    def difference(self, part: str, x: Term, y: Term) -> Term:
        """``x - y``."""
        if isinstance(y, Tensor):
            return self.sum(part, x, -y)
        if isinstance(x, Tensor):
            return self._affine(part, y, -1.0, x)
        return self._added(self._of_two(Add, part, x, y, alpha=-1.0))

    def product(self, part: str, x: Term, y: Term) -> Term:
        """``x * y``."""
        if isinstance(x, Tensor) and isinstance(y, Tensor):
            return x * y
        if isinstance(x, Tensor):
            return self._affine(part, y, x, 0.0)
        if isinstance(y, Tensor):
            return self._affine(part, x, y, 0.0)
        return self._added(self._of_two(FloatMultiply, part, x, y))

    def _affine(self, part, x, factor, shift):
        found = affine_of(f"{self.name}.{part}", x, factor, shift)
        # Times zero nothing is left of what is computed.
        if not bool(found.factor.any()):
            return found.shift.float()
        if bool((found.factor == 1).all()) and not bool(found.shift.any()):
            return x
        return self._added(found)

    def _of_two(self, kind, part, x, y, **more):
        inputs = (x.name, y.name)
        return kind(name=f"{self.name}.{part}", inputs=inputs, shape=x.shape, **more)

    def _added(self, node):
        return self.make.add(node)
