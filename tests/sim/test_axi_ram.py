import json
from itertools import product

import numpy as np
import pytest
import torch
from torch import nn

import qnn
from hw.spec.config import named_config
from qnn.ir.encode import encode_input
from qnn.runtime import handshake
from qnn.runtime.tensors import pack_inputs, unpack_outputs
from sim import dram, rtl, runner
from tests.expected import expected_tensors
from tests.nearest import quantize

pytestmark = pytest.mark.rtl


@pytest.mark.parametrize("bus_bits", [64, 128])
def test_idle_x_backpressure_with_cocotbext_axi(bus_bits, tmp_path):
    config = named_config("test", bus_bits=bus_bits)
    torch.manual_seed(1)
    model = nn.Sequential(nn.Conv2d(3, 9, 3), nn.ReLU(), nn.MaxPool2d(2), nn.Conv2d(9, 2, 1)).eval()
    images = torch.randn(4, 3, 6, 7)
    design = qnn.compile(qnn.export(quantize(model, images)), config)
    x = encode_input(design.graph, images[:1].numpy())
    expected = expected_tensors(design.graph, x)[design.graph.outputs[0].name]

    build = runner.build(rtl.generated(config), "qnn_accelerator")
    memory = dram.place(design.artifact, pack_inputs(design.artifact, x))
    for seed, (idle, backpressure) in enumerate(product((0.0, 0.5), repeat=2), 1):
        content = tmp_path / "memory.bin"
        memory.content.tofile(content)
        job = tmp_path / "job.json"
        writes = handshake.start_writes(design.artifact, memory.bases(0), 0)
        fields = {"memory": str(content), "idle": idle, "backpressure": backpressure}
        job.write_text(json.dumps({"writes": writes, **fields}))
        runner.run(build, "tests.hw.cocotb.axi_ram", environment={"QNN_JOB": str(job)}, seed=seed)
        after = np.fromfile(content, np.uint8)
        assert memory.disturbance(after) is None
        (got,) = unpack_outputs(design.artifact, memory.output(after, 0)[None], 1)
        np.testing.assert_array_equal(got, expected)
