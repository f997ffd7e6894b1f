"""The image: what the accelerator's memory holds for one network, and how to talk to it.

File format, little-endian: 8 bytes ``QNNIMAGE``, a 32-bit version, 32 bits of metadata length,
64 bits of payload length, a checksum, which is the SHA-256 of all that follows; then the metadata
(JSON) and the payload. The payload goes to ``IMAGE_BASE`` as it is: the program first.
"""

import hashlib
import json
import struct
from dataclasses import asdict, dataclass, replace
from functools import cached_property
from pathlib import Path
from typing import Any

from hw.spec.config import SvpeConfig
from hw.spec.isa.buffers import Region
from hw.spec.isa.encoding import InstructionError
from hw.spec.isa.program import Program
from hw.spec.tensors import Layer, TensorLayout
from qnn.fields import Count, Place, parsed, typed
from qnn.files import read_file, write_whole
from qnn.host.program import HostProgram
from qnn.host.results import array_names
from qnn.ir.shape import joined, joined_shape

MAGIC = b"QNNIMAGE"
VERSION = 6
HEAD = struct.Struct("<8sIIQ32s")


class ImageError(ValueError):
    """An image file that is not whole, or not for this reader or accelerator."""


@dataclass(frozen=True, kw_only=True)
class Image:
    """A compiled network, as the memory of an accelerator holds it.

    Members
    -------
    config : the accelerator that it is for
    batch : images that one run computes
    inputs, outputs : places in the INPUT and OUTPUT region; one entry an image of the batch and
        input or output of the network, in that order: all inputs of the first image come first
    input_axes : of each input's array as the user gives it, see ``qnn.ir.shape``
    output_shapes : as the user's model gives them, without the batch dimension
    output_axes : what their sizes are; None: any, of values in the order (channels, height, width)
    host : what the host computes of the outputs, a ``HostProgram`` as text; None: nothing
    pixel_tables : for each input the integer that an 8-bit pixel is, by channel and pixel:
        (channels, 256); None where the user gives reals
    input_bytes, output_bytes, scratch_bytes : sizes of those regions
    layers : by tag
    payload : bytes of the IMAGE region
    program_bytes : length of the program, which starts the payload
    """

    config: SvpeConfig
    batch: Count
    inputs: tuple[TensorLayout, ...]
    outputs: tuple[TensorLayout, ...]
    input_axes: tuple[str, ...]
    output_shapes: tuple[tuple[Count, ...], ...]
    output_axes: tuple[str | None, ...]
    pixel_tables: tuple[tuple[tuple[int, ...], ...] | None, ...]
    input_bytes: Place
    output_bytes: Place
    scratch_bytes: Place
    layers: tuple[Layer, ...]
    program_bytes: Place
    payload: Any
    host: str | None = None

    @cached_property
    def program(self) -> Program:
        """The instructions, decoded from the payload.

        Raises
        ------
        ImageError
            An operation code that does not exist, or bytes after the last instruction.
        """
        try:
            return Program.decode(self.payload[: self.program_bytes], "image")
        except InstructionError as error:
            raise ImageError(str(error)) from None

    @cached_property
    def host_program(self) -> HostProgram | None:
        """The steps of ``host``."""
        if self.host is None:
            return None
        return HostProgram.parse(self.host, len(self.output_tensors))

    @property
    def output_tensors(self) -> tuple[tuple[int, ...], ...]:
        """Shapes of the tensors that outputs are, or are parts of."""
        return joined(self.output_shapes, self.output_axes, joined_shape)

    @cached_property
    def output_names(self) -> tuple[str, ...]:
        """A name of its own for the array of each output, see ``qnn.host.results.array_names``."""
        names = [layout.name for layout in self.network_outputs]
        return array_names(names, self.output_axes, self.host_program)

    @property
    def network_inputs(self) -> tuple[TensorLayout, ...]:
        """Each input of the network once, as the first image of the batch has it."""
        return self.inputs[: len(self.input_axes)]

    @property
    def network_outputs(self) -> tuple[TensorLayout, ...]:
        """Each output of the network once, as the first image of the batch has it."""
        return self.outputs[: len(self.output_shapes)]

    def region_bytes(self, region: Region) -> int:
        """Size of a region of memory."""
        image = len(self.payload)
        return (image, self.input_bytes, self.output_bytes, self.scratch_bytes)[region]

    def to_bytes(self) -> bytes:
        """The bytes of the image's file."""
        fields = asdict(replace(self, payload=b""))
        del fields["payload"]
        fields["config"] = self.config.fields
        # Few networks have any of these, so that most images do not name them.
        if self.host is None:
            del fields["host"]
        for layer in fields["layers"]:
            for name in ("order", "image_height"):
                if layer[name] is None:
                    del layer[name]
        results = [layer["output"] for layer in fields["layers"]]
        for layout in (*fields["inputs"], *fields["outputs"], *results):
            for name, usual in (("x_step", 1), ("zero_point", 0)):
                if layout[name] == usual:
                    del layout[name]
        metadata = json.dumps(fields, sort_keys=True, separators=(",", ":")).encode()
        body = metadata + self.payload
        digest = hashlib.sha256(body).digest()
        return HEAD.pack(MAGIC, VERSION, len(metadata), len(self.payload), digest) + body

    @staticmethod
    def from_bytes(data: bytes, name: str = "image") -> "Image":
        """Read what ``to_bytes`` gave; ``name`` is for the error.

        Raises
        ------
        ImageError
            Not an image, another version, cut short, or altered.
        """
        if len(data) < HEAD.size or data[:8] != MAGIC:
            raise ImageError(f"{name}: not a qnn image; write one with 'qnn compile'")
        _, version, metadata_bytes, payload_bytes, digest = HEAD.unpack_from(data)
        if version != VERSION:
            raise ImageError(
                f"{name}: image version {version}, but this qnn reads version {VERSION}; "
                f"compile the model again"
            )
        body = data[HEAD.size :]
        if len(body) != metadata_bytes + payload_bytes:
            raise ImageError(
                f"{name}: {len(data)} bytes, but its header says "
                f"{HEAD.size + metadata_bytes + payload_bytes}; copy or compile it again"
            )
        if hashlib.sha256(body).digest() != digest:
            raise ImageError(f"{name}: its checksum does not match; copy or compile it again")
        return _checked(body[:metadata_bytes], body[metadata_bytes:], name)

    def write(self, path: Path) -> None:
        """Write the file beside ``path``, then rename it."""
        write_whole(path, self.to_bytes())

    @staticmethod
    def read(path: Path) -> "Image":
        """Read a file; raises as ``from_bytes`` does."""
        return Image.from_bytes(read_file(path), str(path))


def _checked(metadata, payload, name):
    """The image of a file's two parts; all that its readers rely on holds of it."""
    from hw.spec.image_check import check_image  # which knows images

    try:
        fields = parsed(metadata)
        if isinstance(fields, dict):
            fields["payload"] = payload
        image = typed(Image, fields)
        check_image(image)
    except ValueError as error:
        raise ImageError(f"{name}: {error}; compile the model again") from None
    return image
