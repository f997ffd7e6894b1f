"""Pass: groups of weights with equal data are one, as those of every step of a recurrence are."""

from dataclasses import replace

from qnn.compiler.compilation import Compilation
from qnn.compiler.task import Key

# A group that lies elsewhere ends a load, so that few of them would cost more than they save.
SHARE = 2  # times fewer words pay in any case


def share_weights(state: Compilation) -> Compilation:
    """The state whose tasks name the first of all groups that have the same data.

    Where some are loaded more than once they stay apart, unless most are shared.
    """
    used = dict.fromkeys(task.weights for task in state.tasks if task.weights)
    first: dict[tuple, Key] = {}
    shared = {key: first.setdefault(_data(state, key), key) for key in used}
    if not _pays(state, used, first.values()):
        return state
    tasks = (replace(t, weights=shared[t.weights]) if t.weights else t for t in state.tasks)
    return replace(state, tasks=tuple(tasks))


def _data(state, key):
    name, number = key
    group = state.packed[name][number]
    return group.words, group.weights, group.parameters, group.table


def _pays(state, keys, kept):
    every, least = (sum(_data(state, key)[0] for key in each) for each in (keys, kept))
    fit = least <= state.config.weight_words and len(kept) <= state.config.parameter_words
    return fit or SHARE * least <= every
