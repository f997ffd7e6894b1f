"""The ``driver`` folder of a build, which runs alone: NumPy and Python 3.10 are all that it needs.

Its modules are the sources of this package and of ``hw.spec``, and of a few files of ``qnn``, as
they are, under the same names.
"""

from importlib.resources import files

from hw.spec.c_header import c_header
from hw.spec.image import Image

PACKAGES = ("hw.spec", "hw.spec.isa", "qnn.host", "qnn.runtime")
BESIDE = (
    "archive_file.py",
    "array_file.py",
    "errors.py",
    "fields.py",
    "files.py",
)  # of ``qnn`` itself
GRAPH_FILES = ("codes.py", "scaling.py", "shape.py")  # what a user gives
TASK_FILES = ("kinds.py", "measures.py")  # that ``validate`` needs; the losses need torch
# They read packages that the folder does not have.
LEFT_OUT = ("folder.py", "c_header.py")  # what only makes such folders
DRIVER = '''"""Runs the network of this build on a device: "python driver.py --help", or in Python:

    from driver import open_device
    accelerator = open_device("pynq:qnn.bit")
    (logits,) = accelerator.execute(images)  # of (N, height, width, channels) uint8

A network of several inputs takes a tuple, with one array for each in their order.
`throughput_test` and `validate` are the accelerator's other methods.
"""

import sys
from pathlib import Path

HERE = Path(__file__).resolve().parent
sys.path.insert(0, str(HERE))  # before any other qnn

from hw.spec.image import Image
from qnn.runtime.accelerator import Accelerator
from qnn.runtime.command import main
from qnn.runtime.devices import open_transport

IMAGE = HERE / "image.bin"


def open_device(uri):
    """The network on the device `uri`, as --device takes it."""
    return Accelerator(Image.read(IMAGE), open_transport(uri))


if __name__ == "__main__":
    sys.exit(main(IMAGE))
'''
MAIN = '''"""`python driver` in the folder above does what driver.py does."""

import sys

from driver import IMAGE, main

sys.exit(main(IMAGE))
'''


def driver_files(image: Image) -> dict[str, bytes]:
    """Name in the folder to content; the same for the same image."""
    texts = {
        "driver.py": DRIVER,
        "__main__.py": MAIN,
        "qnn_accelerator.h": c_header(image.config),
        "hw/__init__.py": "",
        "qnn/__init__.py": '"""The part of qnn that drives boards."""\n',
        "qnn/ir/__init__.py": "",
        "qnn/tasks/__init__.py": "",
    }
    for name in GRAPH_FILES:
        texts[f"qnn/ir/{name}"] = files("qnn.ir").joinpath(name).read_text()
    for name in BESIDE:
        # As they are, under their own names: one class of an error is caught everywhere.
        texts[f"qnn/{name}"] = files("qnn").joinpath(name).read_text()
    for name in TASK_FILES:
        texts[f"qnn/tasks/{name}"] = files("qnn.tasks").joinpath(name).read_text()
    for package in PACKAGES:
        for source in files(package).iterdir():
            if source.name.endswith(".py") and source.name not in LEFT_OUT:
                texts[f"{package.replace('.', '/')}/{source.name}"] = source.read_text()
    return {name: text.encode() for name, text in texts.items()} | {"image.bin": image.to_bytes()}
