"""Ports of a memory whose signals are named by the caller, not by Amaranth's look at bytecode."""

from amaranth.lib.memory import Memory, ReadPort, WritePort
from amaranth.utils import ceil_log2


def read_port(memory: Memory, name: str, *, domain: str = "sync") -> ReadPort:
    """A read port; its signals are ``name__addr``, ``name__en`` and ``name__data``.

    That of domain ``comb`` has no register.
    """
    # Amaranth would take the name from the caller's bytecode, which differs between Pythons.
    signature = ReadPort.Signature(addr_width=ceil_log2(memory.depth), shape=memory.shape)
    return ReadPort(signature, memory=memory, domain=domain, path=(name,))


def write_port(memory: Memory, name: str) -> WritePort:
    """A write port of whole words; its signals are named as those of ``read_port``."""
    signature = WritePort.Signature(addr_width=ceil_log2(memory.depth), shape=memory.shape)
    return WritePort(signature, memory=memory, domain="sync", path=(name,))
