"""A program: the instructions of an image in order, and their bytes."""

from collections.abc import Iterator
from dataclasses import dataclass

from hw.spec.isa.encoding import Instruction, InstructionError, decode, encode
from hw.spec.isa.header import INSTRUCTION_BYTES


@dataclass(frozen=True)
class Program:
    """Instructions in program order; END is the last of one that runs."""

    instructions: tuple[Instruction, ...]

    def __iter__(self) -> Iterator[Instruction]:
        return iter(self.instructions)

    def __len__(self) -> int:
        return len(self.instructions)

    def __getitem__(self, index: int) -> Instruction:
        return self.instructions[index]

    def encode(self) -> bytes:
        """One word of ``INSTRUCTION_BYTES`` bytes, little-endian, an instruction.

        Raises
        ------
        ValueError
            A value does not fit its field; the text names the field.
        """
        return b"".join(encode(i).to_bytes(INSTRUCTION_BYTES, "little") for i in self)

    @staticmethod
    def decode(code: bytes, name: str = "program") -> "Program":
        """The program of ``code``; ``name`` is for the error.

        Raises
        ------
        InstructionError
            Not whole instructions, or bits that no instruction has.
        """
        if len(code) % INSTRUCTION_BYTES:
            raise InstructionError(f"{name}: a program of {len(code)} bytes; compile it again")
        return Program(
            tuple(
                _decode(code[start : start + INSTRUCTION_BYTES], start // INSTRUCTION_BYTES, name)
                for start in range(0, len(code), INSTRUCTION_BYTES)
            )
        )


def _decode(word, number, name):
    try:
        return decode(int.from_bytes(word, "little"))
    except InstructionError as error:
        raise InstructionError(
            f"{name}: instruction {number} has {error}; compile it again"
        ) from None
