"""Latencies in cycles that hardware keeps and the cycle model counts on; RTL tests assert them."""

from hw.spec.config import SvpeConfig


def tree_levels(config: SvpeConfig) -> int:
    """Adder levels of one processing element, a register after each."""
    return (config.lanes - 1).bit_length()


def write_latency(config: SvpeConfig) -> int:
    """From the cycle a tile's last step issues to its first write at the buffer's port."""
    raise NotImplementedError  # measured and set with the hardware
