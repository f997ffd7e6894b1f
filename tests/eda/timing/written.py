"""Netlists as Yosys writes them, made by hand and at random."""

import random


class Written:
    """One module under construction, in the form of ``write_json``."""

    def __init__(self):
        self.cells, self.ports, self.names = {}, {}, {}
        self._bits = 1

    def bit(self, name=None):
        """A new net, with a name of its own if given."""
        self._bits += 1
        if name is not None:
            self.names[name] = {"hide_name": 0, "bits": [self._bits], "attributes": {}}
        return self._bits

    def port(self, name, direction, bits):
        """Some nets as a port of the module."""
        self.ports[name] = {"direction": direction, "bits": list(bits)}
        self.names[name] = {"hide_name": 0, "bits": list(bits), "attributes": {}}
        return list(bits)

    def cell(self, kind, name=None, parameters=None, **pins):
        """A cell; a pin is a net, or a list of them for a bus."""
        name = name or f"$cell${len(self.cells)}"
        links = {pin: bits if isinstance(bits, list) else [bits] for pin, bits in pins.items()}
        self.cells[name] = {
            "type": kind,
            "parameters": parameters or {},
            "attributes": {},
            "connections": links,
        }
        return name

    def lut(self, table, *inputs, out, name=None):
        """A LUT of some inputs and its truth table."""
        pins = {f"I{n}": bit for n, bit in enumerate(inputs)}
        init = f"{table:0{1 << len(inputs)}b}"
        return self.cell(f"LUT{len(inputs)}", name, {"INIT": init}, **pins, O=out)

    def register(self, data, out, clock, enable="1", reset="0", name=None, kind="FDRE"):
        """A flip-flop."""
        reset_pin = {"FDRE": "R", "FDSE": "S"}[kind]
        return self.cell(kind, name, C=clock, CE=enable, D=data, Q=out, **{reset_pin: reset})

    def module(self):
        return {"ports": self.ports, "cells": self.cells, "netnames": self.names}


def design(**modules):
    """What ``write_json`` gives for some modules."""
    return {"modules": {name: made.module() for name, made in modules.items()}}


class _Drawn:
    """A netlist that grows by random groups of cells."""

    def __init__(self, seed):
        self.random, self.made = random.Random(seed), Written()
        self.clock = self.made.port("clk", "input", [self.made.bit()])[0]
        self.nets = [self.made.port(f"in_{n}", "input", [self.made.bit()])[0] for n in range(8)]
        self.enables, self.resets = ["1", self.nets[2]], ["0", *self.nets[:2]]

    def some(self, count):
        return [self.random.choice(self.nets) for _ in range(count)]

    def table(self, inputs):
        return self.random.getrandbits(1 << inputs)

    def register(self, bit, enable, reset):
        self.nets.append(self.made.bit())
        self.made.register(bit, self.nets[-1], self.clock, enable, reset)

    def use(self, outputs):
        """Let later cells read the outputs, some of them behind a register."""
        for bit in outputs:
            if self.random.random() < 0.6:
                self.register(
                    bit, self.random.choice(self.enables), self.random.choice(self.resets)
                )
            else:
                self.nets.append(bit)

    def lut(self):
        out, count = self.made.bit(), self.random.randint(1, 6)
        self.made.lut(self.table(count), *self.some(count), out=out)
        self.use([out])

    def pair(self):
        low, high = self.made.bit(), self.made.bit()
        pins = {f"I{n}": bit for n, bit in enumerate([*self.some(5), "1"])}
        init = f"{self.table(6):064b}"
        self.made.cell("LUT6_2", None, {"INIT": init}, **pins, O5=low, O6=high)
        self.use([low, high])

    def mux(self):
        outs = [self.made.bit() for _ in range(7)]
        for out in outs[:4]:
            self.made.lut(self.table(6), *self.some(6), out=out)
        for n, (one, other) in enumerate(((0, 1), (2, 3), (4, 5)), 4):
            pins = {"I0": outs[one], "I1": outs[other], "S": self.some(1)[0], "O": outs[n]}
            self.made.cell("MUXF8" if n == 6 else "MUXF7", **pins)
        self.use(outs[6:])

    def loose(self):
        enable, reset = self.random.choice(self.enables), self.random.choice(self.resets)
        for bit in self.some(self.random.randint(1, 12)):
            self.register(bit, enable, reset)

    def shift(self):
        pins = {f"A{n}": bit for n, bit in enumerate(self.some(4))}
        pins |= {"CE": "1", "CLK": self.clock, "D": self.some(1)[0], "Q": self.made.bit()}
        self.made.cell("SRL16E", None, None, **pins)
        self.use([pins["Q"]])

    def memory(self):
        pins = {"ADDRARDADDR": self.some(8), "DINADIN": self.some(8), "CLKARDCLK": self.clock}
        pins["DOUTADOUT"] = [self.made.bit() for _ in range(8)]
        self.made.cell("RAMB18E2", None, None, **pins)
        self.use(pins["DOUTADOUT"])

    def chain(self):
        bits, carry = self.random.randint(1, 20), self.random.choice(["0", "1", *self.some(1)])
        for start in range(0, bits, 8):
            count = min(8, bits - start)
            pins = {name: [self.made.bit() for _ in range(8)] for name in ("O", "CO")}
            pins |= {"S": [], "DI": []}
            for _ in range(count):
                inputs, select = self.some(self.random.randint(1, 4)), self.made.bit()
                self.made.lut(self.table(len(inputs)), *inputs, out=select)
                pins["S"].append(select)
                pins["DI"].append(self.random.choice([*inputs, *self.some(1), "0"]))
            for name in ("S", "DI"):
                pins[name] += ["0"] * (8 - count)
            self.made.cell("CARRY8", None, None, CI=carry, CI_TOP="0", **pins)
            carry = pins["CO"][7]
            self.use(pins["O"][:count])


def drawn(seed, size):
    """A random netlist of each kind of cell that a slice holds, and of block memories."""
    growing = _Drawn(seed)
    kinds = [growing.pair, growing.chain, growing.mux, growing.loose, growing.shift]
    kinds += [growing.memory, *[growing.lut] * 3]
    for _ in range(size):
        growing.random.choice(kinds)()
    growing.made.port("out", "output", growing.nets[-4:])
    return design(top=growing.made)
