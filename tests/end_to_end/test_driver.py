"""The driver of boards on the RTL simulation of whole networks, and alone in its folder."""

import json
import shutil
import time

import numpy as np
import pytest

import qnn
from hw.spec.config import named_config
from qnn.ir.encode import encode_input
from qnn.ir.reference import reference
from qnn.runtime.accelerator import Accelerator
from qnn.runtime.driver import memory_bytes
from sim.cosim import HOST, rtl_transport, serve
from tests.end_to_end.test_resnet20 import config, network
from tests.runtime.isolated import driver
from tests.runtime.test_folder import DESIGN, IMAGES, expected
from tests.shared_data import cifar_test

pytestmark = pytest.mark.rtl

BATCH, IMAGES_OF_CIFAR = 2, 4


def test_the_folder_alone_drives_the_rtl(tmp_path):
    folder = shutil.copytree(DESIGN.write(tmp_path / "build") / "driver", tmp_path / "alone")
    np.save(tmp_path / "input.npy", IMAGES)
    np.savez(tmp_path / "set.npz", x_test=IMAGES, y_test=expected(IMAGES).argmax(1))
    with serve(named_config("test"), cores=2, paths=2) as port:
        device = ("--device", f"rtl://{HOST}:{port}")
        assert driver(folder, *device, cwd=tmp_path)[0] == 0
        validate = (*device, "--exec_mode", "validate", "--dataset", "set.npz")
        assert driver(folder, *validate, cwd=tmp_path)[1].endswith("Final accuracy: 100.000000\n")
        measure = (*device, "--exec_mode", "throughput_test", "--batchsize", "6")
        measured = json.loads(driver(folder, *measure, cwd=tmp_path)[1])
    np.testing.assert_array_equal(np.load(tmp_path / "output.npy"), expected(IMAGES))
    assert measured["cores"] == 2
    cycles = measured["cycles_per_image"]
    assert 100 < measured["compute_busy_cycles_per_image"] < cycles < 10_000


@pytest.mark.slow
def test_resnet20_on_the_reference_array(shared_data):
    _, graph = network(shared_data)
    design = qnn.compile(graph, config(8), batch=BATCH)
    pixels = cifar_test(shared_data)[0][:IMAGES_OF_CIFAR].numpy()
    result = reference(graph, encode_input(graph, pixels), outputs_only=True)
    memory = memory_bytes(design.artifact)
    with rtl_transport(design.config, memory_bytes=memory) as transport:
        accelerator = Accelerator(design.artifact, transport)
        started, before = time.perf_counter(), transport.state().cycle
        (got,) = accelerator.execute(np.moveaxis(pixels, 1, 3))
        seconds = time.perf_counter() - started
        cycles = transport.state().cycle - before
        measured = accelerator.throughput_test(BATCH)
    np.testing.assert_array_equal(got, result[graph.outputs[0].name].reshape(len(pixels), -1))
    summary = {
        "images": len(pixels),
        "images_per_run": BATCH,
        "memory_bytes": memory,
        "simulated_cycles": cycles,
        "simulator_cycles_per_second": cycles / seconds,
        "seconds": seconds,
        "cycles_per_image": measured["cycles_per_image"],
    }
    print(json.dumps(summary, indent=2))
