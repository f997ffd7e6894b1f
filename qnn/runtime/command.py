"""The command line of a build's ``driver`` folder; options are those of FINN's drivers."""

import argparse
import json
import sys
from collections.abc import Sequence
from contextlib import closing
from pathlib import Path

import numpy as np

from hw.spec.image import Image, ImageError
from qnn.errors import DeviceError
from qnn.files import whole_file
from qnn.runtime.accelerator import Accelerator
from qnn.runtime.arrays import read_inputs, read_test_set
from qnn.runtime.devices import FORMS, open_transport
from qnn.runtime.given import image_count

REFUSAL = 3  # as of every command of qnn; 1 would be a mismatch


def main(image: Path, arguments: Sequence[str] | None = None) -> int:
    """Do what ``arguments`` say with the network in the file ``image``; gives the exit code.

    0: done. 2: wrong usage. 3: refused, for a reason that standard error has in one line.
    """
    parser = _parser()
    options = parser.parse_args(arguments)
    # FINN's option, for scripts that have it.
    device = options.device or (f"pynq:{options.bitfile}" if options.bitfile else None)
    if device is None:
        parser.error(f"a device is needed: --device {FORMS}")
    # Before the device is opened, which may load a bitstream.
    if options.exec_mode == "validate" and options.dataset is None:
        parser.error("validate needs --dataset, an .npz with x_test and y_test")
    try:
        network = Image.read(image)
        # Closed however it ends: accelerators at work would go on writing.
        with closing(_opened(device, parser)) as transport:
            _MODES[options.exec_mode](Accelerator(network, transport), options)
    except (DeviceError, ImageError) as error:
        return _refuse(str(error))
    except OSError as error:
        return _refuse(f"{error.filename}: {error.strerror}" if error.filename else str(error))
    return 0


def _opened(device, parser):
    try:
        return open_transport(device)
    except ValueError as error:  # it names none
        parser.error(str(error))


def _refuse(text):
    print("error:", " ".join(text.split()), file=sys.stderr)
    return REFUSAL


def _parser():
    parser = argparse.ArgumentParser(prog="driver", description="Run this build's network.")
    parser.add_argument("--exec_mode", choices=_MODES, default="execute")
    parser.add_argument("--device", help=FORMS)
    parser.add_argument("--bitfile", help="the same as --device pynq:BITFILE")
    # One image would measure the call, a hundred measure the accelerator.
    parser.add_argument("--batchsize", type=_positive, default=100, help="images at a time")
    parser.add_argument(
        "--inputfile",
        default="input.npy",
        help="images: N, H, W, C; of several inputs an .npz with an array for each, by its name",
    )
    parser.add_argument(
        "--outputfile", default="output.npy", help="integers; .npz if several, by the model's names"
    )
    parser.add_argument(
        "--dataset",
        help="an .npz with x_test (N, H, W, C) and y_test; x_test_NAME for each of several inputs",
    )
    parser.add_argument("--dataset_root", default=".", help="folder of the data set")
    return parser


def _positive(text):
    if not text.isdecimal() or not int(text):
        raise argparse.ArgumentTypeError(f"needs to be a number from 1 on, not '{text}'")
    return int(text)


def _execute(accelerator, options):
    outputs = accelerator.execute(read_inputs(accelerator.image, Path(options.inputfile)))
    path = Path(options.outputfile)
    with whole_file(path) as file:
        if len(outputs) == 1 and path.suffix != ".npz":
            np.save(file, outputs[0])
        else:
            names = getattr(outputs, "_fields", ())
            # NumPy takes these words for itself.
            if names and not {"file", "allow_pickle"} & {*names}:
                np.savez(file, **dict(zip(names, outputs, strict=True)))
            else:
                np.savez(file, *outputs)
    print(f"{path}: outputs of {len(outputs[0])} images")


def _measure(accelerator, options):
    print(json.dumps(accelerator.throughput_test(options.batchsize), indent=2))


def _validate(accelerator, options):
    path = Path(options.dataset_root) / options.dataset
    images, labels = read_test_set(accelerator.image, path)
    count = image_count(images)
    for each in labels.values() if isinstance(labels, dict) else (labels,):
        if count != len(each) or not count:
            raise DeviceError(
                f"{path}: needs a label an image, not {len(each)} for {count}; save both again"
            )
    accelerator.validate(images, labels, options.batchsize)


_MODES = {"execute": _execute, "throughput_test": _measure, "validate": _validate}
