import re

import pytest

from qnn.runtime import pynq, uio
from qnn.runtime.devices import FORMS, open_transport
from qnn.runtime.remote import RemoteTransport
from tests.runtime.board import FakeBoard
from tests.runtime.served import served
from tests.runtime.test_driver import IMAGE


def test_a_simulation_elsewhere():
    with served(FakeBoard(IMAGE, cores=3)) as uri:
        transport = open_transport(uri)
        assert isinstance(transport, RemoteTransport)
        assert len(transport.cores) == 3
        transport.close()


@pytest.mark.parametrize(
    ("uri", "wanted"),
    [
        ("uio:uio0?memory=udmabuf0", (["uio0"], "udmabuf0", None)),
        ("uio:uio4,uio5?mhz=250&memory=big", (["uio4", "uio5"], "big", 250e6)),
    ],
)
def test_uio_with_its_memory_and_clock(monkeypatch, uri, wanted):
    monkeypatch.setattr(uio, "UioTransport", lambda *arguments: arguments)
    assert open_transport(uri) == wanted


@pytest.mark.parametrize(
    ("uri", "wanted"),
    [
        ("pynq:qnn.bit", ("qnn.bit", True)),
        ("pynq:/home/xilinx/qnn.bit?download=no", ("/home/xilinx/qnn.bit", False)),
    ],
)
def test_a_bitstream_and_whether_to_load_it(monkeypatch, uri, wanted):
    monkeypatch.setattr(pynq, "PynqTransport", lambda file, download: (str(file), download))
    assert open_transport(uri) == wanted


@pytest.mark.parametrize(
    "uri",
    [
        *("", "rtl", "rtl:", "rtl://", "rtl://host", "rtl://host:port", "rtl://host:1/path"),
        *("rtl://host:1?cores=2", "uio:", "uio:uio0", "uio:uio0?memory=m&mhz=fast"),
        *(
            "uio:uio0?memory=m&mhz=0",
            "uio:uio0?memory=m&mhz=nan",
            "uio:uio0?memory=m&colour=red",
            "uio:?memory=m",
        ),
        *("pynq:", "pynq:x.bit?download=yes", "usb:0"),
    ],
)
def test_other_forms_are_refused(uri):
    with pytest.raises(ValueError, match=f"^{re.escape(f'device must be {FORMS}, not {uri!r}')}$"):
        open_transport(uri)
