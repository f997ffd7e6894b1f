"""Exported files in Netron: its server gives the page and the bytes, which onnx's checker takes.

The page's own script draws the graph. It needs a browser, which no test here has.
"""

import urllib.request

import onnx
import pytest
import torch
from torch import nn

import qnn
from tests.nearest import quantize


@pytest.mark.parametrize("to", [qnn.to_onnx, qnn.to_qonnx], ids=["onnx", "qonnx"])
def test_a_file_is_served(to, tmp_path):
    netron = pytest.importorskip("netron", reason="needs pip install netron")
    torch.manual_seed(0)
    model = nn.Sequential(nn.Conv2d(1, 2, 3), nn.Flatten(), nn.Linear(8, 3)).eval()
    path = tmp_path / "model.onnx"
    to(qnn.export(quantize(model, torch.rand(8, 1, 4, 4))), path)
    proto = onnx.load(path)
    # Operators of QONNX have a domain of their own, which the checker leaves alone.
    onnx.checker.check_model(proto)
    assert all(node.name and node.output for node in proto.graph.node)
    # Port 0 is any that is free.
    address = netron.serve(str(path), None, ("127.0.0.1", 0), browse=False)
    try:
        host, port = address
        with urllib.request.urlopen(f"http://{host}:{port}/", timeout=20) as page:
            assert b"netron" in page.read().lower()
        with urllib.request.urlopen(f"http://{host}:{port}/data/model.onnx", timeout=20) as file:
            assert file.read() == path.read_bytes()
    finally:
        netron.stop(address)
