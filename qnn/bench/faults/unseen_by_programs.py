"""Planted faults of the Verilog that are proved to change no run of a program, each with its proof.

They are not equivalent for every input of the pins: the proof is of what programs, drivers and
memories do. A proof holds for one place of one Verilog: where that moves, it is a survivor again.
"""

from qnn.eda.mutants import VerilogMutant

CLEARED = "START clears all queues and engines, and before it no burst may go out."

# The fault, as its mutant prints it: the proof.
PROOFS = {
    (
        "qnn_accelerator.shell.control: cnot1 of $procmux$18382.A[29] by [4] "
        "(qnn_accelerator.v:14142.15-14142.19)"
    ): "Instructions are multiples of 128 bytes from a page's start, so that the other bit is 0.",
    (
        "qnn_accelerator.shell.dispatch.compute_queue: const0 of fifo.rst[0] "
        "(qnn_accelerator.v:15409.9-15409.12)"
    ): CLEARED,
    (
        "qnn_accelerator.compute.sequencer: const0 of $procmux$19985.S[0] "
        "(qnn_accelerator.v:7600.9-7600.23)"
    ): CLEARED,
    (
        "qnn_accelerator.shell: cnot1 of fetch.base[12] by [2] (qnn_accelerator.v:12416.33-12434.4)"
    ): "An image begins with a page of memory, so that the other bit is 0.",
    (
        "qnn_accelerator.shell.dispatch.store_queue.fifo: inv of $procmux$18101.Y[168] "
        "(qnn_accelerator.v:16138.9-16138.19)"
    ): "Rows lie less than 8 MiB apart in memory, as at least one of them fits on chip.",
    (
        "qnn_accelerator.shell.load.transfers.signals$50: const0 of fifo.rst[0] "
        "(qnn_accelerator.v:18685.9-18685.12)"
    ): CLEARED,
    (
        "qnn_accelerator.shell.store: inv of transfers.bases[21] "
        "(qnn_accelerator.v:19870.17-19870.22)"
    ): "It is of the image's address, and nothing is stored to the image.",
}


def is_proved(mutant: VerilogMutant) -> bool:
    """Whether no run of a program can show a mutant, by a proof that somebody wrote down."""
    return str(mutant) in PROOFS
