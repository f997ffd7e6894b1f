"""The ports of a Verilog module, and the interfaces that its attributes put them in."""

import re
from dataclasses import dataclass

# One port per line, attributes on lines before it: in the module's head, as our top module has it,
# or behind it, as Amaranth writes it.
_MODULE = re.compile(r"^module (?P<name>\w+) ?\(", re.MULTILINE)
_PORT = re.compile(
    r"(?P<attributes>(?:^ +\(\* .*? \*\)\n)*)"
    r"^ +(?P<direction>input|output) (?:wire )?(?:\[(?P<high>\d+):0\] )?(?P<name>\w+)[;,]?$",
    re.MULTILINE,
)
_ATTRIBUTE = re.compile(r'\(\* (?P<name>\w+) = "(?P<value>.*?)" \*\)')


@dataclass(frozen=True)
class Port:
    """A port, its width, and its attributes."""

    name: str
    direction: str
    width: int
    attributes: dict[str, str]

    @property
    def interface(self) -> tuple[str, str, str] | None:
        """Type, name and logical name of ``X_INTERFACE_INFO``; None without it."""
        # 'VLNV NAME LOGICAL', as UG994 has it.
        words = self.attributes.get("X_INTERFACE_INFO", "").split()
        return (words[0], words[1], words[2]) if len(words) == 3 else None

    @property
    def parameters(self) -> dict[str, str]:
        """The parameters in ``X_INTERFACE_PARAMETER``: NAME VALUE, NAME VALUE and so on."""
        pairs = self.attributes.get("X_INTERFACE_PARAMETER", "").split(",")
        words = (pair.strip().partition(" ") for pair in pairs)
        return {name: value.strip() for name, _, value in words if name}


def modules(verilog: str) -> list[str]:
    """Names of the modules that a file defines."""
    return [found["name"] for found in _MODULE.finditer(verilog)]


def ports(verilog: str, module: str) -> list[Port]:
    """The ports of ``module`` in the text of its file, in the order of their declarations.

    Raises
    ------
    ValueError
        The file has no such module.
    """
    starts = {found["name"]: found.start() for found in _MODULE.finditer(verilog)}
    if module not in starts:
        raise ValueError(f"no module '{module}' in this Verilog; it has {', '.join(starts)}")
    body = verilog[starts[module] :].partition("endmodule")[0]
    return [
        Port(
            found["name"],
            found["direction"],
            # A port without a range has one bit.
            int(found["high"] or 0) + 1,
            {pair["name"]: pair["value"] for pair in _ATTRIBUTE.finditer(found["attributes"])},
        )
        for found in _PORT.finditer(body)
    ]
