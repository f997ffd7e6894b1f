"""Training of an application's float network, the same for the same seed, kept in a file."""

import time
from collections.abc import Callable
from pathlib import Path

import torch
from torch import Tensor, nn

from qnn.bench.applications.table import Application, ApplicationData
from qnn.tensor_file import read_tensors, write_tensors

BATCH = 64
SEED = 0
PAD = 4  # pixels that an image moves at most, where flips show the same
WARM_UP = 0.2  # of all steps, in which the rate rises


def trained(
    application: Application,
    samples: ApplicationData,
    path: Path,
    progress: Callable[[int, int], None],
) -> tuple[nn.Module, float]:
    """The network in evaluation mode, and the seconds that its training took.

    Parameters
    ----------
    path : of its weights, which are taken where they are there and written where they are not
    progress : called with steps done and all
    """
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(SEED)
        network = application.build()
        if path.exists():
            held = read_tensors(path)
            network.load_state_dict(held.tensors)
            return network.eval(), float(held.texts["seconds"])
        started = time.perf_counter()
        _train(network, application, samples, progress)
        seconds = time.perf_counter() - started
    write_tensors(path, network.state_dict(), {"seconds": f"{seconds:.1f}"})
    return network.eval(), seconds


def _train(network, application, samples, progress):
    generator = torch.Generator().manual_seed(SEED)
    count = len(samples.x_train)
    steps = application.epochs * (count // BATCH)
    optimizer = torch.optim.AdamW(network.parameters(), lr=application.rate, weight_decay=1e-2)
    rates = torch.optim.lr_scheduler.OneCycleLR(
        optimizer, application.rate, steps, pct_start=WARM_UP
    )
    network.train()
    for step in range(steps):
        # A new order for each epoch; what is left over of one is not seen.
        place = step % (count // BATCH)
        if not place:
            order = torch.randperm(count, generator=generator)
        chosen = order[place * BATCH : (place + 1) * BATCH]
        x = samples.x_train[chosen]
        x = _moved(x, generator) if samples.flips else x
        loss = application.loss(network(x), samples.y_train[chosen])
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        rates.step()
        progress(step + 1, steps)


def _moved(x: Tensor, generator: torch.Generator) -> Tensor:
    """Images moved by a few pixels and mirrored, all of a batch alike."""
    down, right = torch.randint(-PAD, PAD + 1, (2,), generator=generator).tolist()
    x = x.roll((down, right), (2, 3))
    return x.flip(3) if torch.rand((), generator=generator) < 0.5 else x
