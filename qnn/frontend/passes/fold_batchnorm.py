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
        if source.learned and source.batchnorm is None and rewrite.uses(source.name) == 1:
            rewrite.exchange(source.name, replace(source, batchnorm=norm.statistics))
            rewrite.exchange(norm.name)
            rewrite.redirect(norm.name, source.name)
        else:
            alone = replace(identity(norm.name, source), batchnorm=norm.statistics)
            rewrite.exchange(norm.name, alone)
    return rewrite.graph()
