"""Each layer rounded alone: on its grid, and the layers that read it take back what they can."""

import torch
from torch import nn

from qnn.frontend.run import run
from qnn.nn.learn import learnable
from qnn.ptq.auto.trials import MEASURED, trials
from qnn.ptq.sensitivity import sensitivity, with_terms
from qnn.quant import pow2
from qnn.quant.rounding.nearest_sums import SHIFTS
from qnn.tasks.kinds import TaskKind
from tests.ptq.trained import calibrated_on, classifier

READERS = {
    "first.0": {"first.0", "inner", "grouped"},  # by the residual sum, and as the inner's skip
    "inner": {"inner", "grouped"},
    "grouped": {"grouped", "head"},  # behind a mean, which nothing learns
    "head": {"head"},
}


def tried(model, images):
    start = calibrated_on(model, images)
    one = start.build(1, "auto")
    return start, one, trials(one, start.graph, (images,))


def test_each_layer_is_tried_with_values_of_its_grid():
    _, one, found = tried(*classifier())
    assert list(found) == [name for name, _ in learnable(one)]
    for name, conv in learnable(one):
        assert list(found[name]) == list(range(1, MEASURED + 1))
        for terms, trial in found[name].items():
            weight, bias = trial[name]
            exponent = with_terms(conv, terms).weight_exponent
            # Of each row the exponent may be the one next to it.
            snapped = [pow2.snap(weight, exponent + more, 3, terms) for more in SHIFTS]
            on_grid = torch.stack([(each == weight).flatten(1).all(1) for each in snapped])
            assert bool(on_grid.any(0).all())
            assert bias.shape == (len(weight),)


def test_who_reads_a_layer_answers_for_it():
    _, _, found = tried(*classifier())
    for name, by_terms in found.items():
        for trial in by_terms.values():
            assert set(trial) <= READERS[name]
            assert next(iter(trial)) == name
    # The sum of both is what the grouped convolution reads.
    assert set(found["inner"][1]) == READERS["inner"]
    assert set(found["grouped"][1]) == READERS["grouped"]


def test_less_is_lost_where_others_take_back():
    model, images = classifier()
    _, one, found = tried(model, images)
    alone = {n: {k: {n: trial[n]} for k, trial in each.items()} for n, each in found.items()}
    kinds = [TaskKind.CLASSES]
    with_help, without = (sensitivity(one, images, kinds, each) for each in (found, alone))
    assert with_help["head"] == without["head"]
    assert sum(each[1] for each in with_help.values()) < sum(each[1] for each in without.values())


def test_what_a_reader_can_take_back_whole_it_does():
    """Behind a layer of one row, an error is a factor, which a weight undoes."""
    torch.manual_seed(0)
    model = nn.Sequential(nn.Conv2d(1, 1, 1), nn.ReLU(), nn.Conv2d(1, 2, 1)).eval()
    images = torch.randn(64, 1, 4, 4)
    with torch.no_grad():
        model[0].weight.fill_(1.3)
        model[0].bias.fill_(5.0)
    start, _, found = tried(model, images)
    wanted = run(start.graph, images)["2"]
    trial = found["0"][1]
    assert float(trial["0"][0]) != 1.3
    with torch.no_grad():
        for name, (weight, bias) in trial.items():
            model[int(name)].weight.copy_(weight)
            model[int(name)].bias.copy_(bias)
        error = (model(images) - wanted).square().mean() / wanted.var()
    # But for the damping, which keeps weights where operands say nothing.
    assert error < 1e-4
