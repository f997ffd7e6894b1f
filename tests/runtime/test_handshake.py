import re
from dataclasses import replace

import pytest

from hw.spec.config import CONFIGS
from hw.spec.registers import MAGIC, Register
from qnn.compiler import compile_graph
from qnn.errors import DeviceError
from qnn.runtime.handshake import check_identity
from tests.compiler.small_graphs import one_conv

TEST = CONFIGS["test"]


def identity(config, magic=MAGIC):
    return {Register.MAGIC: magic, Register.FINGERPRINT: config.fingerprint}


def test_the_configuration_of_the_image_is_taken():
    check_identity(identity(TEST), compile_graph(one_conv(), TEST), "board")


@pytest.mark.parametrize("name", ["columns", "weight_words", "weight_bits"])
def test_an_image_for_another_configuration_is_refused(name):
    image = compile_graph(one_conv(), TEST)
    other = replace(TEST, **{name: 4 if name == "weight_bits" else 2 * getattr(TEST, name)})
    text = (
        f"board: the image is for {TEST} (fingerprint {TEST.fingerprint:016x}), but the device "
        f"has fingerprint {other.fingerprint:016x}; compile the model for the device's "
        "configuration, by 'qnn compile --config BUILD' with the device's build"
    )
    with pytest.raises(DeviceError, match=f"^{re.escape(text)}$"):
        check_identity(identity(other), image, "board")


def test_a_device_that_is_no_accelerator_is_refused():
    image = compile_graph(one_conv(), TEST)
    text = (
        f"board: its first register reads 0xffffffff, but an accelerator of this version reads "
        f"{MAGIC:#010x}; check its address and bitstream"
    )
    with pytest.raises(DeviceError, match=f"^{re.escape(text)}$"):
        check_identity(identity(TEST, magic=0xFFFF_FFFF), image, "board")
