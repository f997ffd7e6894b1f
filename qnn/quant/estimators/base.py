"""What every estimator offers: weights for training on the grid, a gradient, and their codes."""

import torch
from torch import Tensor, nn

from qnn.quant import pow2
from qnn.quant.by_terms import Terms, most_terms


class Estimator(nn.Module):
    """How one layer's weights take part in training on their grid.

    What changes in training, beside parameters, is in buffers: a state dictionary that is loaded
    after ``begin`` gives the same forward pass.

    Parameters
    ----------
    bits, terms : the format, as in ``qnn.quant.pow2``; terms may differ by output channel

    Members
    -------
    name : under which the method is found
    one_term : the method has no meaning for sums of codes

    Raises
    ------
    ValueError
        No such format, or the method has no meaning for it.
    """

    name: str
    one_term = False

    def __init__(self, bits: int, terms: Terms = 1):
        super().__init__()
        # Called for its refusals alone: formats are checked before any weight is touched.
        pow2.grid(bits, most_terms(terms))
        if self.one_term and most_terms(terms) != 1:
            raise ValueError(
                f"{self.name} needs weights of one term, not {most_terms(terms)}; quantize with "
                f"terms=1 or train with another estimator"
            )
        self.bits, self.terms = bits, terms

    def begin(self, w: Tensor, exponent: Tensor) -> None:
        """Make own parameters and buffers.

        Parameters
        ----------
        w : (outputs, ...) weights at the start
        exponent : (outputs,) int64
        """

    def forward(self, w: Tensor, exponent: Tensor) -> Tensor:
        """Weights for the forward pass, of the shape and dtype of ``w``, differentiable."""
        raise NotImplementedError

    def advance(self, progress: float, generator: torch.Generator) -> None:
        """Take note, before each step, of how far training is: from 0 to 1."""

    def exported_exponent(self, exponent: Tensor) -> Tensor:
        """The exponents of what ``forward`` gives, (outputs,) int64, which ``codes`` exports."""
        return exponent

    def codes(self, w: Tensor, exponent: Tensor) -> tuple[Tensor, Tensor]:
        """The codes that are exported at the end, as signed indices with their exponents.

        Returns
        -------
        indices : (terms, outputs, ...) int8
        exponent : (outputs,) int64
        """
        return pow2.nearest(w, exponent, self.bits, self.terms), exponent
