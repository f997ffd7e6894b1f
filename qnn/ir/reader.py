"""Reads a graph's text word by word, and says where it does not fit and what was needed there."""

import json
import re
from collections.abc import Sequence
from math import prod
from typing import NoReturn

import numpy as np

from qnn.errors import CompileError
from qnn.ir.shape import AXES, ORDER, VOLUME_AXES
from qnn.quant.qtype import QType

# Anything but what the grammar puts behind a name: blanks, brackets, "," ":" "=" "<<".
PLAIN_NAME = re.compile(r"[^\s(),:\"<=]+")
QUOTED_NAME = re.compile(r'"(?:[^"\\\n]|\\.)*"')
TYPE = re.compile(r"([us])(\d+)(?:z([+-]\d+))?e([+-]\d+)")
SIZES = re.compile(r"\d+(?:x\d+)*")
NUMBER = re.compile(r"-?\d+")
NUMBERS = re.compile(r"\[[\d,*-]+\]")
RUN = re.compile(r"(?:(\d+)\*)?(-?\d+)")
REAL = r"-?\d+(?:\.\d+)?(?:e[+-]?\d+)?"
PAIRS = re.compile(rf"\[{REAL}:{REAL}(?:,{REAL}:{REAL})*\]")
ORDERS = re.compile(ORDER)
LETTERS = re.compile(r"[A-Za-z]\w*")


def written_name(name: str) -> str:
    """A tensor's name as text has it: quoted where it would not be read as one word."""
    return name if PLAIN_NAME.fullmatch(name) else json.dumps(name)


def reals_text(pairs: Sequence[tuple[float, float]]) -> str:
    """Pairs of finite reals as ``TextReader.pairs_of_reals`` reads them, every digit kept."""
    return f"[{','.join(f'{one!r}:{other!r}' for one, other in pairs)}]"


class TextReader:
    """A place in a text, which moves on with each thing that is read.

    Every method raises CompileError where the text does not fit: line, column, need.
    """

    def __init__(self, text: str):
        self.text = text
        # The place is all the state: a refusal may name an earlier one, kept by who reads.
        self.place = 0

    def refuse(self, needed: str, place: int | None = None) -> NoReturn:
        """Say that ``needed`` was to stand at ``place``, by default here."""
        place = self.place if place is None else place
        line = self.text.count("\n", 0, place) + 1
        column = place - (self.text.rfind("\n", 0, place) + 1) + 1
        # One line is enough to find the place; 20 characters are enough to recognise it.
        rest = self.text[place:].partition("\n")[0]
        if rest:
            got = f"'{rest[:20]}{'...' * (len(rest) > 20)}'"
        else:
            got = "the end of the line" if place < len(self.text) else "the end of the text"
        raise CompileError(f"line {line}, column {column}: needs {needed}, but got {got}")

    def has(self, literal: str) -> bool:
        """Whether ``literal`` stands here; it is read if so."""
        self._skip_spaces()
        # Blanks never matter within a line, and ends of lines do: a line is a node.
        found = self.text.startswith(literal, self.place)
        self.place += len(literal) * found
        return found

    def expect(self, literal: str) -> None:
        """Read the text ``literal``, which must come next."""
        if not self.has(literal):
            self.refuse(f"'{literal}'")

    def end_of_line(self) -> None:
        """Read the end of a line, or of the text."""
        self._skip_spaces()
        if self.place < len(self.text) and not self.has("\n"):
            self.refuse("the end of the line")

    def rest_of_line(self) -> str:
        """Read whatever stands up to the end of the line."""
        rest = self.text[self.place :].partition("\n")[0]
        self.place += len(rest)
        return rest

    def skip_empty_lines(self) -> bool:
        """Move to the next line that holds something; False if there is none."""
        self.place += len(self.text[self.place :]) - len(self.text[self.place :].lstrip())
        return self.place < len(self.text)

    def one_of(self, words: tuple[str, ...]) -> str:
        """Read one of ``words``."""
        self._skip_spaces()
        start, word = self.place, self._match(LETTERS, f"one of {', '.join(words)}")[0]
        if word not in words:
            self.refuse(f"one of {', '.join(words)}", start)
        return word

    def output_axes(self) -> str:
        """Read the axes of an output: a name of them, or an order."""
        self._skip_spaces()
        if self.text[self.place : self.place + 1].isdigit():
            return self._match(ORDERS, "an order such as 3x85:1.0")[0]
        return self.axes()

    def axes(self) -> str:
        """Read the name of axes."""
        self._skip_spaces()
        found = re.compile(VOLUME_AXES).match(self.text, self.place)
        if found is None:
            return self.one_of(tuple(AXES))
        self.place = found.end()
        return found[0]

    def name(self) -> str:
        """Read a tensor's name."""
        self._skip_spaces()
        if self.text.startswith('"', self.place):
            return json.loads(self._match(QUOTED_NAME, "the end of a quoted name")[0])
        return self._match(PLAIN_NAME, "a tensor's name")[0]

    def names(self) -> tuple[str, ...]:
        """Read names in parentheses, which may be none."""
        self.expect("(")
        if self.has(")"):
            return ()
        names = [self.name()]
        while self.has(","):
            names.append(self.name())
        self.expect(")")
        return tuple(names)

    def qtype(self) -> QType:
        """Read a type such as ``s8e-4`` or, with what is stored for 0, ``s8z-83e-4``."""
        self._skip_spaces()
        start = self.place
        sign, bits, zero, exponent = self._match(TYPE, "a type such as s8e-4").groups()
        try:
            return QType(int(bits), sign == "s", -int(exponent), int(zero or 0))
        except ValueError:
            self.refuse("a type of 2 to 48 bits with 0 in its range", start)

    def sizes(self, count: int | None = None) -> tuple[int, ...]:
        """Read sizes such as ``3x9x8``, of which there are ``count`` if that is given."""
        needed = "sizes such as 3x9x8" if count is None else f"{count} sizes joined by 'x'"
        self._skip_spaces()
        start = self.place
        sizes = tuple(map(int, self._match(SIZES, needed)[0].split("x")))
        if count is not None and len(sizes) != count:
            self.refuse(needed, start)
        return sizes

    def optional_sizes(self) -> tuple[int, ...]:
        """Read sizes if some stand here; the shape of a single value has none."""
        self._skip_spaces()
        return self.sizes() if SIZES.match(self.text, self.place) else ()

    def bits_and_terms(self) -> tuple[int, int]:
        """Read the format of weights: ``4``, or ``4x2`` for codes of two terms."""
        start = self.place
        bits, *terms = self.sizes()
        if len(terms) > 1:
            self.refuse("bits of a code, and terms if there are more than one", start)
        return bits, terms[0] if terms else 1

    def integer(self) -> int:
        """Read one number."""
        return int(self._match(NUMBER, "a number")[0])

    def integers(self, count: int) -> tuple[int, ...]:
        """Read ``count`` numbers with commas between them."""
        numbers = [self.integer()]
        for _ in range(count - 1):
            self.expect(",")
            numbers.append(self.integer())
        return tuple(numbers)

    def pairs_of_reals(self) -> tuple[tuple[float, float], ...]:
        """Read pairs such as ``[0.5:0.25,0.4:0.25]``."""
        text = self._match(PAIRS, "a list of pairs such as [0.5:0.25]")[0]
        pairs = (pair.split(":") for pair in text[1:-1].split(","))
        return tuple((float(one), float(other)) for one, other in pairs)

    def array(self, shape: tuple[int, ...], dtype: type | str) -> np.ndarray:
        """Read every entry of an array: a list in brackets, or one number for all of them."""
        self._skip_spaces()
        start, needed = self.place, f"{prod(shape)} numbers"
        values, counts = [], [prod(shape)]
        if self.text.startswith("[", start):
            runs = self._runs(self._match(NUMBERS, f"a list of {needed}")[0], start)
            values, counts = [int(run[2]) for run in runs], [int(run[1] or 1) for run in runs]
        else:
            values = [int(self._match(NUMBER, f"a list of {needed}")[0])]
        # The commonest mistake: the short text, which shows arrays as ranges, is parsed.
        if self.text.startswith("..", self.place):
            self.refuse(f"the {needed} themselves, not their range", start)
        if sum(counts) != prod(shape):
            self.refuse(f"a list of {needed}, not of {sum(counts)}", start)
        # NumPy would wrap, or fail without a place, where a number is too large.
        limits = np.iinfo(dtype)
        if not limits.min <= min(values) <= max(values) <= limits.max:
            self.refuse(f"numbers from {limits.min} to {limits.max}", start)
        return np.repeat(np.array(values, dtype), counts).reshape(shape)

    def _runs(self, text, start):
        runs = []
        for item in text[1:-1].split(","):
            run = RUN.fullmatch(item)
            if run is None:
                self.refuse("numbers, or counts such as 3*0, with commas between them", start)
            runs.append(run)
        return runs

    def _match(self, pattern, needed):
        self._skip_spaces()
        match = pattern.match(self.text, self.place)
        if match is None:
            self.refuse(needed)
        self.place = match.end()
        return match

    def _skip_spaces(self):
        while self.text.startswith(" ", self.place):
            self.place += 1
