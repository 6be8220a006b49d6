"""Data-parallel SGD: the same model in all members, each batch split, the gradients averaged.

Space: `learning_rate`, `decay`, `batch_size` (or "all"), `hidden`, `model`. Resource: epochs.
Metrics: accuracy, epochs_to_target. However many members there are, the batches are the same; sums
of gradients are rounded otherwise, in the last bits.
"""

import numpy as np

from hpmpi.data.sheets import Array
from hpmpi.trainables.joint import Joint, JointOptions, JointState, Setting


def pass_over(
    setting: Setting, w: Array, rows: Array, rate: float, draw: np.random.Generator
) -> Array:
    """Go over some of the rows once, in batches of a random order; return the weights then."""
    options, network, data, members = setting
    order = rows[draw.permutation(len(rows))]
    size = len(rows) if options.batch_size == "all" else options.batch_size
    w, part, gradient = w.copy(), np.empty_like(w), np.empty_like(w)
    for begin in range(0, len(rows), size):
        batch = order[begin : begin + size]
        mine = batch[members.rank :: members.size]
        network.differentiate(w, data.x_train[mine], data.y_train[mine], part)
        members.Allreduce(part, gradient)
        gradient *= rate / len(batch)
        w -= gradient
    return w


def epoch(setting: Setting, state: JointState) -> Array:
    """Go over all rows once."""
    rows = np.arange(len(setting.data.y_train))
    return pass_over(setting, state.w, rows, setting.options.rate(state.resource), state.draw)


train = Joint(JointOptions, "epochs", epoch)
