"""The runs that a study learns from, read once: when it begins.

What was learnt is a line of its journal from then on, and these runs may go, or change.
"""

import logging
from collections.abc import Sequence
from pathlib import Path

from hpmpi.errors import HpmpiError, SettingsError
from hpmpi.history.earlier import Lessons, lessons
from hpmpi.history.history import History
from hpmpi.model.events import Learnt, Observation
from hpmpi.model.messages import escaped
from hpmpi.storage import run_folder
from hpmpi.study.methods import rungs_of, space_of
from hpmpi.study.settings import Settings

log = logging.getLogger("hpmpi")


def learn(study: Settings) -> Learnt | None:
    """Read what a study is to learn from, and say what of it is used; None where it names no run.

    Raises SettingsError where there is no run that can be read.
    """
    folders: Sequence[str] = study.searcher.get("learn_from", ())
    observations: list[Observation] = []
    problems: list[str] = []
    for folder in folders:
        try:
            learnt = read(Path(folder), study)
        except HpmpiError as error:
            problems.append(f"searcher.learn_from: {error}")
        else:
            observations += learnt.observations
            log.info("%s", escaped(told(folder, learnt)))
    if problems:
        raise SettingsError(problems)
    return Learnt(tuple(observations)) if folders else None


def read(folder: Path, study: Settings) -> Lessons:
    """Read what a run can teach; raises HpmpiError where there is none, or it can't be read."""
    history = History(run_folder.read(folder).lines)
    if not history.starts:
        raise SettingsError([f"there is no run in {folder}"])
    return lessons(history, space_of(study), study.goal, rungs_of(study))


def told(folder: str, learnt: Lessons) -> str:
    """Say how many results are used, why others are not, and what is not looked at.

    >>> from collections import Counter
    >>> told("results/old", Lessons([], Counter({"x was not tuned there": 9}), ["y"]))
    'results/old: 0 results are learnt from; not 9, as x was not tuned there; without its y'
    """
    parts = [f"{len(learnt.observations)} results are learnt from"]
    parts += [f"not {count}, as {why}" for why, count in learnt.left_out.most_common()]
    if learnt.left_away:
        parts.append(f"without its {', '.join(learnt.left_away)}")
    return f"{folder}: {'; '.join(parts)}"
