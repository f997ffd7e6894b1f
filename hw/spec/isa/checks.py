"""Rules that the fields of several instructions obey; each error names the field."""

from hw.spec.config import SvpeConfig
from hw.spec.isa.buffers import Buffer, Span
from hw.spec.isa.header import Header


def require_positive(instruction: Header, names: tuple[str, ...]) -> None:
    """Return if the fields called ``names``, which are counts, are at least 1.

    Raises
    ------
    ValueError
        One is less.
    """
    for name in names:
        value = getattr(instruction, name)
        if value < 1:
            raise ValueError(f"{type(instruction).__name__} {name} must be at least 1, not {value}")


def require_most(instruction: Header, name: str, most: int) -> None:
    """Return if the field called ``name`` is at most ``most``.

    Raises
    ------
    ValueError
        It is more.
    """
    value = getattr(instruction, name)
    if value > most:
        raise ValueError(f"{type(instruction).__name__} {name} must be at most {most}, not {value}")


def require_product(instruction: Header, names: tuple[str, str], most: int) -> None:
    """Return if the product of two fields is at most ``most``.

    Raises
    ------
    ValueError
        It is more.
    """
    one, other = names
    product = getattr(instruction, one) * getattr(instruction, other)
    if product > most:
        kind = type(instruction).__name__
        raise ValueError(f"{kind} {one} times {other} must be at most {most}, not {product}")


def require_inside(instruction: Header, name: str, span: Span, config: SvpeConfig) -> None:
    """Return if the words of ``span``, which the field called ``name`` begins, are in the buffer.

    Raises
    ------
    ValueError
        The last lies behind the buffer's end.
    """
    buffer = Buffer(span.memory)
    size = buffer.words(config)
    if span.stop > size:
        raise ValueError(
            f"{type(instruction).__name__} {name} must keep all words within the {size} of "
            f"{buffer.name}, not reach {span.stop}"
        )
