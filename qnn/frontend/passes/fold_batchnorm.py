"""Each normalisation joins the convolution that only it reads, or becomes a diagonal one."""

from dataclasses import replace

from qnn.frontend.graph import FloatGraph
from qnn.frontend.ops.batch_norm import BatchNorm
from qnn.frontend.ops.conv import identity
from qnn.frontend.rewrite import Rewrite


def fold_batchnorm(graph: FloatGraph) -> FloatGraph:
    """Let convolutions take in normalisations; one that stands alone scales each channel."""
    rewrite = Rewrite(graph)
    for norm in rewrite.each(BatchNorm):
        source = rewrite[norm.inputs[0]]
        if norm.is_taken_by(source) and rewrite.uses(source.name) == 1:
            own = source.batchnorm
            both = norm.statistics if own is None else own.then(norm.statistics)
            # The convolution keeps its own name, which is that of the module with the weights.
            rewrite.exchange(source.name, replace(source, batchnorm=both))
            rewrite.exchange(norm.name)
            rewrite.redirect(norm.name, source.name)
        else:
            # One group for each channel: a dense layer's zeros would be most of a DenseNet's.
            alone = replace(identity(norm.name, source), batchnorm=norm.statistics)
            rewrite.exchange(norm.name, alone)
    return rewrite.graph()
