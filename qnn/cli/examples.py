"""The examples in each command's help, which tests parse."""

from qnn.cli.exit_codes import SUMMARY

EXAMPLES = {
    "demo": ("qnn demo", "qnn demo -o demo --images 2"),
    "quantize": (
        "qnn quantize my_net:build --checkpoint weights.pt --data test.npz --mean 0 --std 1",
        "qnn quantize my_net:build --checkpoint none --terms 2 -o model.safetensors",
    ),
    "train": ("qnn train model.safetensors --data digits --epochs 10 -o trained.safetensors",),
    "explore": (
        "qnn explore my_net:build --checkpoint weights.pt --data test.npz --budget 2h",
        "qnn explore my_net:build --objectives accuracy,fps,lut --constraints 'lut<205560,"
        "accuracy>90' --evaluations 60",
        "qnn explore --pick knee -o build",
    ),
    "export": (
        "qnn export model.safetensors -o model.qgraph",
        "qnn export model.safetensors --format onnx -o model.onnx",
        "qnn export model.safetensors --format qonnx -o model.onnx",
    ),
    "check": (
        "qnn check my_net:build --input-shape 3,32,32",
        "qnn check model.onnx --input-shape 3,224,224",
        "qnn check model.qgraph",
    ),
    "compile": (
        "qnn compile model.qgraph --config test -o build",
        "qnn compile model.safetensors --board zcu102 --cores 2 -o build",
    ),
    "simulate": ("qnn simulate build --data test.npz --images 2 --device rtl -o outputs.npz",),
    "verify": (
        "qnn verify build --data test.npz --images 2 --junit verify.xml",
        "qnn verify build --device functional --images 100 --json",
        "qnn verify build --images 2 --against onnxruntime",
        "qnn verify build other_build --images 100 --farm --workers 8",
    ),
    "show": ("qnn show build", "qnn show model.qgraph --full"),
    "run": ("qnn run build --device rtl: --images 2",),
    "serve": ("qnn serve build --json",),
    "synth": (
        "qnn synth build -o cells.json",
        "qnn synth build --timing --speed-grade 2",
    ),
    "report": ("qnn report build",),
    "doctor": ("qnn doctor", "qnn doctor --json"),
    "testbench": ("qnn testbench build --data test.npz --images 2",),
    "evaluate": ("qnn evaluate my_net:build --checkpoint weights.pt --data test.npz",),
    "help": ("qnn help verify",),
    "version": ("qnn version",),
    "completion": ('eval "$(qnn completion bash)"', "qnn completion fish"),
    "bench applications": ("qnn bench applications --only unet --way nearest:3 --device rtl",),
    "bench array": ("qnn bench array --no-energy",),
    "bench accuracy": (
        "qnn bench accuracy --quick",
        "qnn bench accuracy --data data --ray auto --workers 32",
    ),
    "bench training": ("qnn bench training --steps 5",),
    "bench network": ("qnn bench network resnet20 --config reference --batch 8",),
    "bench faults": ("qnn bench faults --hardware 20 --software 20",),
    "bench operators": ("qnn bench operators --only table --only 'bilinear x2'",),
    "bench rounding": ("qnn bench rounding --steps 3 --only unet",),
    "bench throughput": (
        "qnn bench throughput --only resnet20",
        "qnn bench throughput --markdown --out throughput.jsonl",
    ),
    "bench timing": (
        "qnn bench timing --config test --of shell",
        "qnn bench timing --speed-grade 2 --keep",
        "qnn bench timing --replay routed_paths.jsonl.gz --json",
    ),
    "bench zoo": (
        "qnn bench zoo networks.txt --only 'my_net:*' --out zoo.jsonl",
        "qnn bench zoo --table zoo.jsonl",
    ),
    "bench fuzz": ("qnn bench fuzz --seed 1 --count 1000",),
}


def closing(command: str) -> str:
    """The end of a command's help: its examples, and the exit codes."""
    lines = [f"  {example}" for example in EXAMPLES.get(command, ())]
    # Behind \b the lines of a paragraph stay as they are.
    shown = "\n".join(["\b", "Examples:", *lines, "", ""]) if lines else ""
    return shown + SUMMARY
