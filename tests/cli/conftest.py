import shutil

import pytest
import torch

from qnn.cli.app import main
from qnn.nn.zoo import DigitsCnn
from tests.nearest import NEAREST


@pytest.fixture
def qnn(capsys):
    """Run a command line; gives exit code, standard output and standard error."""

    def run(*arguments):
        capsys.readouterr()
        with pytest.raises(SystemExit) as exit_:
            main([str(argument) for argument in arguments])
        out, err = capsys.readouterr()
        return exit_.value.code or 0, out, err

    return run


@pytest.fixture(scope="session")
def checkpoint(tmp_path_factory):
    """Weights for the zoo's ``digits_cnn``, from a fixed seed and not trained."""
    path = tmp_path_factory.mktemp("checkpoint") / "digits.pt"
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(1)
        torch.save(DigitsCnn().state_dict(), path)
    return path


@pytest.fixture(scope="session")
def model(checkpoint, tmp_path_factory):
    """A quantized model, on disk."""
    path = tmp_path_factory.mktemp("model") / "model.safetensors"
    with pytest.raises(SystemExit) as exit_:
        main(["quantize", "digits_cnn", "--checkpoint", str(checkpoint), "-o", str(path), *NEAREST])
    assert not exit_.value.code
    return path


@pytest.fixture(scope="session")
def _build(model, tmp_path_factory):
    path = tmp_path_factory.mktemp("build") / "build"
    with pytest.raises(SystemExit) as exit_:
        main(["compile", str(model), "-o", str(path)])
    assert not exit_.value.code
    return path


@pytest.fixture
def build(_build, tmp_path):
    """A build folder of its own for each test."""
    return shutil.copytree(_build, tmp_path / "build")
