"""What a user gives a network: one array, or a tuple with one for each of its inputs."""

import numpy as np

from hw.spec.image import Image
from qnn.errors import DeviceError

Given = np.ndarray | tuple[np.ndarray, ...]


def each_input(image: Image, x: Given) -> tuple[np.ndarray, ...]:
    """One array for each of the network's inputs, in their order.

    Raises
    ------
    DeviceError
        There is not one for each, or they have not as many images.
    """
    # Codes stay codes.
    arrays = tuple(map(np.asanyarray, x)) if isinstance(x, tuple) else (np.asanyarray(x),)
    names = [layout.name for layout in image.network_inputs]
    if len(arrays) != len(names):
        wanted = "one array" if len(names) == 1 else f"a tuple of {len(names)} arrays"
        got = f"a tuple of {len(arrays)}" if isinstance(x, tuple) else "one array"
        quoted = ", ".join(f"'{name}'" for name in names)
        raise DeviceError(
            f"the network needs {wanted}, for its input{'s' * (len(names) > 1)} {quoted}, but got "
            f"{got}; give each input its own"
        )
    counts = [len(array) if array.ndim else 0 for array in arrays]
    for name, count in zip(names, counts, strict=True):
        if count != counts[0]:
            raise DeviceError(
                f"input '{name}' needs {counts[0]} images, as many as input '{names[0]}', but got "
                f"{count}; pair them"
            )
    return arrays


def image_count(x: Given) -> int:
    """Images, of every input as many."""
    return len(x[0]) if isinstance(x, tuple) else len(x)


def images_of(x: Given, which: slice | np.ndarray) -> Given:
    """Those images of every input, by their numbers or in a row."""
    return tuple(array[which] for array in x) if isinstance(x, tuple) else x[which]
