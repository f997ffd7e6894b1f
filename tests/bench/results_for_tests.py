"""Results as runs give them, with numbers that tests choose."""

from qnn.bench.results import Result

MACHINE = {"cpu": "Test CPU", "cores": 2, "gpu": None}


def result(name="discquant-w3a8-resnet20", **changed):
    fields = {
        "name": name,
        "group": "Rounding",
        "model": "resnet20",
        "method": "discquant",
        "weight_bits": 3,
        "activation_bits": 8,
        "terms": 1,
        "seed": 0,
        "steps": 1000,
        "seconds": 75.0,
        "float_accuracy": 91.73,
        "test_accuracy": 91.2,
        "test_images": 10_000,
        "codes_before": [1, 2, 3, 4, 3, 2, 1],
        "codes_after": [1, 1, 4, 4, 4, 1, 1],
        "threads": 2,
        "torch_version": "2.13.0",
        "machine": MACHINE,
        "commit": "0123456789ab",
        "definition": {"name": name},
    }
    return Result(**{**fields, **changed})
