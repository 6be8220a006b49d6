"""Ask a searcher for trials, and tell it what comes of each before it is asked for the next."""

from collections.abc import Callable
from typing import TypeVar

from hpmpi.master.searchers import Searcher
from hpmpi.model.trial import Config

Kind = TypeVar("Kind", bound=Searcher)


def ask_and_tell(
    searcher: Kind, trials: range, tell: Callable[[Kind, int, Config], None]
) -> list[Config]:
    """Ask for trials, each of which there must be, and have each told; return them."""
    configs = []
    for trial in trials:
        config = searcher.ask(trial)
        assert isinstance(config, dict)
        configs.append(config)
        tell(searcher, trial, config)
    return configs
