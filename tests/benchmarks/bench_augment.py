"""Milliseconds of augmenting a batch beside a float training step of ResNet-20 on it.

Run as ``python -m tests.benchmarks.bench_augment``; ``OMP_NUM_THREADS=1`` for one thread.
"""

import statistics
import time
from functools import partial

import torch
import torch.nn.functional as F

from qnn.nn.augment import augment
from qnn.nn.preprocess import to_reals
from qnn.nn.zoo import ZOO

BATCH = 128
FORMATS = {"contiguous": torch.contiguous_format, "channels_last": torch.channels_last}


def milliseconds(call, times):
    """The median of ``times`` calls, after two that warm up."""
    spent = []
    for _ in range(times + 2):
        start = time.perf_counter()
        call()
        spent.append(1000 * (time.perf_counter() - start))
    return statistics.median(spent[2:])


def training_step(images, memory_format):
    """One step of stochastic gradient descent, as a function without arguments."""
    entry = ZOO["resnet20"]
    model = entry.build().train().to(memory_format=memory_format)
    optimizer = torch.optim.SGD(model.parameters(), lr=1e-3, momentum=0.9)
    x = to_reals(images, entry.mean, entry.std).contiguous(memory_format=memory_format)
    y = torch.arange(len(images)) % 10

    def step():
        optimizer.zero_grad()
        F.cross_entropy(model(x), y).backward()
        optimizer.step()

    return step


def main():
    """Print one line a memory format."""
    print(f"{BATCH} images (3, 32, 32), {torch.get_num_threads()} threads")
    generator = torch.Generator().manual_seed(0)
    shape = (BATCH, *ZOO["resnet20"].shape)
    pixels = torch.randint(0, 256, shape, dtype=torch.uint8, generator=generator)
    for name, memory_format in FORMATS.items():
        images = pixels.contiguous(memory_format=memory_format)
        spent = milliseconds(partial(augment, images, generator), 200)
        step = milliseconds(training_step(images, memory_format), 5)
        share = 100 * spent / step
        print(f"{name:14}augment {spent:6.2f} ms   step {step:7.1f} ms   {share:5.2f} %")


if __name__ == "__main__":
    main()
