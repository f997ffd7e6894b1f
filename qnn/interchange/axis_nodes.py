"""Between a user's axes and the blocks (channels, height, width) that operators compute with."""

from qnn.interchange.writer import OnnxWriter, Tensor
from qnn.ir.graph import Output
from qnn.ir.shape import Shape, order_of, user_shape


def as_blocks(writer: OnnxWriter, x: Tensor, axes: str, shape: Shape) -> Tensor:
    """Blocks, (images, *shape), of a user's array of ``axes``, as ``qnn.ir.shape.to_blocks``."""
    if user_shape(shape, axes) == shape:
        return x
    # Blocks have channels first; sizes of 1 and frames are a matter of the shape alone.
    if axes == "TC":
        x = writer.add("Transpose", x, perm=(0, 2, 1))
    return writer.reshape(x, (-1, *shape))


def as_given(writer: OnnxWriter, blocks: Tensor, output: Output, shape: Shape) -> Tensor:
    """An output's blocks in the user's shape, (images, ...), as ``qnn.ir.shape.laid_out``."""
    order = order_of(output.axes)
    # An order's sizes are of the block's values as they lie, and its axes how they are moved.
    if order is not None:
        blocks = writer.reshape(blocks, (-1, *order.sizes))
        moves = (0, *(1 + axis for axis in order.axes))
        if moves != tuple(range(len(moves))):
            blocks = writer.add("Transpose", blocks, perm=moves)
        shape = tuple(order.sizes[axis] for axis in order.axes)
    elif output.axes == "TC":
        blocks = writer.reshape(blocks, (-1, *shape[:2]))
        blocks, shape = writer.add("Transpose", blocks, perm=(0, 2, 1)), (shape[1], shape[0])
    return blocks if tuple(output.shape) == shape else writer.reshape(blocks, (-1, *output.shape))
