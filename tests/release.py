"""What releases of PyTorch differ in where a test must know it; all of it is here."""

import torch

RELEASE = tuple(int(part) for part in torch.__version__.split("+")[0].split(".")[:2])

# What ends the process before torch 2.13: native_batch_norm with one of its statistics left out.
CHECKS_STATISTICS = RELEASE >= (2, 13)
# Whether a model may keep a tensor in an attribute of its own when it is exported.
KEEPS_ATTRIBUTES = RELEASE >= (2, 13)
# Whether what is computed can be written into a constant, which older ones call their own fault.
WRITES_TO_CONSTANTS = RELEASE >= (2, 13)
# Whether the exporter to ONNX by torch.export is the usual one; before it was a trial, which on 2.6
# cannot write a normalisation and writes splits as sequences.
EXPORTS_BY_PROGRAMS = RELEASE >= (2, 9)
# Operators that we read and the release does not have yet.
ABSENT = frozenset() if RELEASE >= (2, 13) else frozenset({"aten._fused_rms_norm"})
