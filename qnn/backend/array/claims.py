"""What the metadata of an image says of tensors: drivers encode and decode with them."""

from hw.spec.image import Image
from hw.spec.tensors import TensorLayout
from qnn.backend.claims import HOST, TABLE, TYPE_FACTS, Claim, host_fact, table_fact


def image_claims(image: Image) -> tuple[Claim, ...]:
    """The claims of ``image`` about inputs, outputs and layers, those of every image of a batch."""
    return (*_inputs(image), *_outputs(image), *_layers(image))


def _inputs(image):
    # Axes and tables stand once for each input, places once for each image of a batch too.
    count = len(image.input_axes)
    for number, layout in enumerate(image.inputs):
        facts = {
            "shape": layout.shape,
            "axes": image.input_axes[number % count],
            **_type(layout),
            TABLE: table_fact(image.pixel_tables[number % count]),
        }
        yield Claim("input", layout.name, facts)


def _outputs(image):
    count = len(image.output_shapes)
    for number, layout in enumerate(image.outputs):
        facts = {
            "shape": image.output_shapes[number % count],
            "axes": image.output_axes[number % count],
            HOST: host_fact(image.host),
            **_type(layout),
        }
        yield Claim("output", layout.name, facts)


def _layers(image):
    for layer in image.layers:
        yield Claim("layer", layer.name, _type(layer.output))


def _type(layout: TensorLayout):
    return {name: getattr(layout, name) for name in TYPE_FACTS}
