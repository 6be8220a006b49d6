"""What a study is compared with: a function called once, without a configuration.

    DIR/baseline/rank-1.log     what it prints
    DIR/baseline/checkpoints    its own, and `trials` the folders of its attempts

It is found and called as an objective is, in a process of its own, that does nothing else: what it
leaves behind is no trial's. Where children are forked, it is forked, too: what the objective's
module has imported, which is most times the baseline's as well, is there.
"""

import msgspec

from hpmpi.model.messages import Assign, Welcome
from hpmpi.model.trial import BASELINE

FOLDER = "baseline"
"""The folder in the run folder that has what is the baseline's."""


def is_baseline(order: Assign | None) -> bool:
    """Tell whether a job is to call the baseline, and not the objective."""
    return order is not None and order.attempt.trial == BASELINE


def welcome_to_baseline(welcome: Welcome) -> Welcome:
    """Have a process that is told this take the baseline for the objective."""
    assert welcome.baseline is not None, "its job is for a study that has one"
    return msgspec.structs.replace(
        welcome,
        objective=welcome.baseline,
        folder=f"{welcome.folder}/{FOLDER}",
        hyperparameters=dict.fromkeys(welcome.hyperparameters, False),  # it is given none
    )


def number_of(order: Assign) -> int:
    """Tell the number of a job's trial: what is none, in a folder of its own, is the first."""
    return max(0, order.attempt.trial)
