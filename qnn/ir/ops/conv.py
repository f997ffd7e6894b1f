"""Conv: a convolution by signed powers of two, with the epilogue that finishes its sums.

The file is longer than others because an operator stands whole in one file, and this one has most
fields.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from functools import cached_property
from typing import Any, ClassVar

import numpy as np

from hw.spec.isa import codes
from qnn.errors import CompileError
from qnn.ir.arithmetic import arithmetic
from qnn.ir.arrays import StoredArray, array_text
from qnn.ir.epilogue import Epilogue
from qnn.ir.ops.finish import (
    EPILOGUE_FIELDS,
    check_epilogue,
    check_result,
    epilogue_fields,
    taken_epilogue,
)
from qnn.ir.ops.operator import (
    HEAD_FIELDS,
    WINDOW_FIELDS,
    Head,
    Operator,
    broadcast_rows,
    check_broadcast,
    check_shape,
    check_window,
    refuse,
    shared_operands,
)
from qnn.ir.reader import TextReader, written_name
from qnn.ir.rows import Rows
from qnn.ir.shape import Shape
from qnn.ir.sums import Bounds, Sums, integer_weights
from qnn.ir.window import Window

# The instruction counts terms in 3 bits, of which 0 is no term.
MOST_TERMS = 7


@dataclass(frozen=True, eq=False, kw_only=True)
class Conv(Operator):
    """Sums of shifted activations, then the epilogue; padding is zeros.

    A code is ``sign(m) * 2**(abs(m) - 1)``, or 0 for m = 0. A weight is the sum over its terms, of
    which each weighs ``2**term_shift(weight_bits)`` times the next one, and the last one counts as
    it is. A channel that needs fewer terms than its layer has zeros in the last ones.

    Members
    -------
    inputs : the operand, and the skip operand if the epilogue adds one: of the result's shape, or
        spread: one value for each channel (outputs, 1, 1), for each pixel (1, height, width), or
        for all
    type : of the result; unrounded: the epilogue's bits, the exponent of all channels
    codes : (terms, outputs, inputs / groups, kernel height, kernel width) int8, signed indices m
        from -K to K, K = 2**(weight_bits - 1) - 1
    """

    kind = "conv"
    words = ("conv", "depthwise")
    multiplies: ClassVar[bool] = False  # whether the skip operand is a factor, as to a compiler
    file_fields: ClassVar[Mapping[str, Any]] = {
        **HEAD_FIELDS,
        **WINDOW_FIELDS,
        "input": str,
        "skip": str | None,
        "codes": StoredArray,
        "weight_bits": int,
        "groups": int,
        **EPILOGUE_FIELDS,
    }
    optional_fields: ClassVar[tuple[str, ...]] = ("table",)

    window: Window
    codes: np.ndarray
    weight_bits: int
    epilogue: Epilogue[np.ndarray]

    @property
    def skip(self) -> str | None:
        """The name of the operand that the epilogue adds."""
        return self.inputs[1] if len(self.inputs) > 1 else None

    @property
    def depthwise(self) -> bool:
        """Whether each channel is computed from the one of the same number."""
        return self.codes.shape[2] == 1 and self.window.groups == self.shape[0]

    def inputs_of(self, channel: int) -> range:
        """The operand's channels that an output channel is computed from: those of its group."""
        inputs = self.codes.shape[2]
        group = channel // (self.shape[0] // self.window.groups)
        return range(group * inputs, (group + 1) * inputs)

    @property
    def is_computed(self) -> bool:
        return True

    @property
    def rounded(self) -> bool:
        return self.epilogue.rounded

    def channels_of(self, sources: tuple[Operator, ...]) -> tuple[str, ...]:
        # A sum of two: in the same lanes as the one that is there already.
        if self.skip is not None and not shared_operands(self, sources):
            return (self.skip,)
        # Any other convolution mixes channels, so that its results may lie as they like.
        return self.inputs[:1] if self.depthwise else ()

    def aligned(self, sources: tuple[Operator, ...]) -> tuple[str, ...]:
        read = self.inputs if self.depthwise else self.inputs[1:]
        return tuple(name for name in read if name not in shared_operands(self, sources))

    @property
    def spread(self) -> tuple[str, ...]:
        return self.inputs[1:]

    @property
    def summary(self) -> str:
        groups = self.window.groups
        parts = f", {groups} groups" if self._word == "conv" and groups > 1 else ""
        skip = "" if self.skip is None else " + skip"
        return f"{self._word} {self.window.summary}{parts}, {self.weight_bits}-bit weights{skip}"

    @property
    def integers(self) -> np.ndarray:
        """The weights: (outputs, inputs / groups, kernel height, kernel width) int64."""
        return integer_weights(self.codes, self.weight_bits)

    @cached_property
    def moves(self) -> bool:
        """Whether each channel is one operand times one weight, or the sum of one's whole window.

        Copies, averages and normalisations that stand alone are such, which lowering puts where the
        network has no layer to multiply; a layer of the network's own is one only in the smallest
        case, without channels or taps to sum over.
        """
        # One after the other: of a layer that multiplies, the first channel tells.
        return all(self._moves(channel) for channel in range(self.shape[0]))

    def _moves(self, channel):
        weights = integer_weights(self.codes[:, channel], self.weight_bits).reshape(-1)
        even = self.codes.shape[2] == 1 and bool((weights == weights[0]).all())
        return even or np.count_nonzero(weights) <= 1

    @property
    def macs(self) -> int:
        return 0 if self.moves else self.codes[0].size * self.shape[1] * self.shape[2]

    def output_shape(self, sources: tuple[Operator, ...]) -> Shape:
        return self.codes.shape[1], *self.window.output_size(sources[0].shape[1:])

    def check(self, sources: tuple[Operator, ...]) -> None:
        # Codes come before the window: a kernel of another shape is the codes' fault.
        check_shape(self)
        self._check_operands()
        self._check_codes(sources[0].shape)
        check_window(self, self.window, sources[0], turns=True)
        check_epilogue(self, self.epilogue, skip=self.skip is not None)
        self._check_skip(sources)
        check_result(self, self.epilogue)

    def sums(self, sources: tuple[Operator, ...]) -> Sums:
        """The sums of the convolution over operands of the types of ``sources``."""
        return Sums(
            codes=self.codes,
            weight_bits=self.weight_bits,
            epilogue=self.epilogue,
            result=self.type,
            operand=sources[0].type,
            skip=None if self.skip is None else sources[1].type,
        )

    def prepare(self, sources: tuple[Operator, ...]) -> Callable:
        exact = arithmetic()
        # The arithmetic is chosen by proof, not by trial: two bounds decide both types.
        products, result = self.sums(sources).plain_bounds()
        if result >= 1 << 63:
            raise CompileError(
                f"conv '{self.name}' needs sums of {result.bit_length() + 1} bits, but the "
                f"reference has 64; quantize to fewer bits"
            )

        weights = exact.weights_of(self.integers, products)
        # Adding half before the shift rounds half up; it rides in the bias.
        half = 1 << self.epilogue.right >> 1  # 0 where nothing is shifted out
        epilogue = replace(self.epilogue, bias=self.epilogue.bias + half).map(
            lambda values: exact.channels_of(values, result), exact.tensor_of
        )

        def run(x, skip=None):
            acc = exact.convolved(x, weights, self.window)
            return exact.stored(exact.finished(acc, epilogue, skip), self.type)

        return run

    def bounds(self, sources: tuple[Operator, ...]) -> Bounds:
        return self.sums(sources).bounds(self.name)

    def rows_read(self, rows: Rows, heights: tuple[int, ...]) -> tuple[Rows, ...]:
        # A skip operand is read where the result is written.
        skips = [broadcast_rows(rows, height) for height in heights[1:]]
        return self.window.rows_read(rows, heights[0]), *skips

    def strip(self, rows: Rows, read: Rows) -> "Conv":
        shape = (self.shape[0], rows.count, self.shape[2])
        return replace(self, shape=shape, window=self.window.strip(rows, read))

    def stacked(self, images: int, sources: tuple[Operator, ...]) -> "Conv | None":
        window = self.window.stacked(sources[0].shape[1], self.shape[1])
        moved = super().stacked(images, sources[1:])
        return None if window is None or moved is None else replace(moved, window=window)

    def body(self, full: bool) -> str:
        terms, kernel = self.codes.shape[0], "x".join(map(str, self.window.kernel))
        groups = self.window.groups
        parts = [f"{self._word}({written_name(self.inputs[0])}) {kernel}"]
        parts.append(f"w{self.weight_bits}" + f"x{terms}" * (terms > 1))
        parts += [f"groups={groups}"] * (self._word == "conv" and groups > 1)
        parts += [*self.window.parts(), *self.epilogue.parts(self.skip, full)]
        if full:
            parts.append(f"codes={array_text(self.codes, full)}")
        return " ".join(parts)

    @classmethod
    def parse(cls, head: Head, word: str, reader: TextReader, shape_of: Callable) -> "Conv":
        reader.expect("(")
        # The name is looked up only when the line is whole, so that a wrong line is told first.
        place = reader.place
        name = reader.name()
        reader.expect(")")
        kernel = reader.sizes(2)
        reader.expect("w")
        weight_bits, terms = reader.bits_and_terms()
        outputs = head.shape[0]
        # "depthwise" says the groups itself, as each output channel is one.
        groups = outputs if word == "depthwise" else 1
        if word == "conv" and reader.has("groups="):
            groups = reader.integer()
        window = Window.parse(reader, kernel, groups)
        epilogue, skip = Epilogue.parse(reader, outputs)
        reader.expect("codes=")
        # Groups of 0 are for check to refuse; here they must only divide.
        inputs = shape_of(name, place)[0] // max(groups, 1)
        return cls(
            name=head.name,
            inputs=(name,) if skip is None else (name, skip),
            shape=head.shape,
            type=head.type,
            window=window,
            codes=reader.array((terms, outputs, inputs, *kernel), np.int8),
            weight_bits=weight_bits,
            epilogue=epilogue,
        )

    def to_fields(self) -> dict:
        window = self.window
        return {
            "name": self.name,
            "input": self.inputs[0],
            "shape": self.shape,
            "type": self.type,
            "codes": self.codes,
            "weight_bits": self.weight_bits,
            "skip": self.skip,
            "stride": window.stride,
            "padding": window.padding,
            "dilation": window.dilation,
            "groups": window.groups,
            **epilogue_fields(self.epilogue),
        }

    @classmethod
    def from_fields(cls, fields: dict) -> "Conv":
        fields = dict(fields)
        operand, skip = fields.pop("input"), fields.pop("skip")
        parts = ("stride", "padding", "dilation", "groups")
        window = {part: fields.pop(part) for part in parts}
        epilogue = taken_epilogue(fields)
        return cls(
            inputs=(operand,) if skip is None else (operand, skip),
            # The file holds the kernel once: as the shape of the codes.
            window=Window(kernel=fields["codes"].shape[-2:], **window),
            epilogue=epilogue,
            **fields,
        )

    @property
    def _word(self):
        return "depthwise" if self.window.groups > 1 and self.depthwise else "conv"

    def _check_operands(self):
        if len(self.inputs) > 2:
            refuse(self, "an operand and at most a skip", f"{len(self.inputs)} inputs", "add first")

    def _check_codes(self, source):
        groups = self.window.groups
        if self.weight_bits not in codes.BITS:
            needs = f"weight_bits {codes.BITS_RANGE}"
            refuse(self, needs, self.weight_bits, "quantize it again")
        most = codes.most_index(self.weight_bits)
        if self.codes.dtype != np.int8 or self.codes.ndim != 5:
            got = f"{self.codes.dtype} of {self.codes.ndim} axes"
            refuse(self, "int8 codes of 5 axes", got, "build it again")
        if groups < 1 or source[0] % groups or self.shape[0] % groups:
            needs = f"groups that divide {source[0]} inputs and {self.shape[0]} outputs"
            refuse(self, needs, f"groups={groups}", "correct it")
        wanted = (self.shape[0], source[0] // groups)
        terms, *channels = self.codes.shape[:3]
        if tuple(channels) != wanted or not 1 <= terms <= MOST_TERMS or not all(self._taps):
            got = f"codes of shape {self.codes.shape}"
            outputs, inputs = wanted
            needs = f"codes of shape (1 to 7, {outputs}, {inputs}, kernel height, kernel width)"
            refuse(self, needs, got, "build it again")
        if self._taps != self.window.kernel:
            refuse(self, f"codes of its kernel {self.window.kernel}", self._taps, "build it again")
        if int(self.codes.min()) < -most or int(self.codes.max()) > most:
            got = f"{self.codes.min()} to {self.codes.max()}"
            refuse(self, f"codes from {-most} to {most}", got, "quantize it again")

    @property
    def _taps(self):
        return self.codes.shape[-2:]

    def _check_skip(self, sources):
        if self.skip is not None:
            check_broadcast(self, "a skip", sources[1])
