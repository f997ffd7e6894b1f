# amaranth: UnusedElaboratable=no
"""Components that stand in the design many times, but in its Verilog once.

Time to write, simulate and synthesise the Verilog then does not grow with the array.
"""

from amaranth import *
from amaranth.lib.wiring import In


class Emission:
    """The platform for which a design becomes Verilog: it gathers the modules to write once.

    Parameters
    ----------
    circuits : what processing elements are made of (see ``hw.pe``)
    """

    def __init__(self, circuits):
        self.circuits = circuits
        self.modules = {}  # module name: component


class _Once(Elaboratable):
    def __init__(self, component, module, reset):
        self._component = component
        self._module = module
        self._reset = reset

    def elaborate(self, platform):
        # In simulation a component is itself: an instance of a module would be a black box.
        if not isinstance(platform, Emission):
            return self._component
        # Equal components have equal Verilog, so the first one stands for all of them.
        platform.modules.setdefault(self._module, self._component)
        return Instance(
            self._module,
            ("i", "clk", ClockSignal()),
            ("i", "rst", self._reset),
            *_ports(self._component),
        )


def once(submodules, name, module, factory, *args, reset=None, **kwargs):
    """Add ``factory(*args, **kwargs)`` to ``submodules`` as ``name``, and return it.

    All components with the same ``module`` must be equal. For an ``Emission`` each is an instance
    of the Verilog module called ``module``, for any other platform a plain submodule. A reset
    that encloses the design reaches it, but a ``ResetInserter`` does not; an ``Emission`` may have
    another signal as its ``reset``.
    """
    component = factory(*args, **kwargs)
    submodules[name] = _Once(component, module, ResetSignal() if reset is None else reset)
    return component


def _ports(component):
    """Each port under the name that ``hw.convert`` gives it."""
    for path, member, value in component.signature.flatten(component):
        direction = "i" if member.flow is In else "o"
        yield direction, "_".join(map(str, path)), Value.cast(value)
