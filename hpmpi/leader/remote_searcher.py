"""A searcher of the user's, in a process of its own: rank 0 never waits for its thoughts.

    ask --> a suggestion that was thought of already, or LATER: it is asked for meanwhile

One suggestion is thought of ahead, so that a rank seldom waits for more than it takes to give it a
job. What the searcher prints is in `logs/searcher.log`. Where it raises, or its process dies, the
next `ask` raises: nothing that was heard is lost, and the run ends in order.
"""

import logging
import time
from pathlib import Path
from typing import Any

import msgspec

from hpmpi.errors import SearcherError
from hpmpi.leader.beside import ProcessBeside
from hpmpi.master.searchers import LATER, Later
from hpmpi.model.trial import Config, Metrics
from hpmpi.study.settings import Settings

LOG = "logs/searcher.log"
"""What the process prints, in the run folder."""

LONG_S = 10.0
"""A thought that takes longer is said to."""

log = logging.getLogger("hpmpi")


class Study(msgspec.Struct, frozen=True, tag="study"):
    """What is searched: the settings as TOML text, and the folder of the study file."""

    settings: str
    origin: str


class Ask(msgspec.Struct, frozen=True, tag="ask"):
    """Suggest a configuration."""

    trial: int


class Adopt(msgspec.Struct, frozen=True, tag="adopt"):
    """Have suggested this one."""

    trial: int
    config: dict[str, Any]


class Tell(msgspec.Struct, frozen=True, tag="tell"):
    """Learn what came of a trial."""

    trial: int
    rung: int
    resource: int
    loss: float | None
    metrics: Metrics


Order = Ask | Adopt | Tell


class Suggested(msgspec.Struct, frozen=True, tag="suggested"):
    """The answer to Ask; None where there is no other."""

    trial: int
    config: dict[str, Any] | None


class Raised(msgspec.Struct, frozen=True, tag="raised"):
    """The searcher has raised, for people."""

    said: str


class RemoteSearcher:
    """A searcher as rank 0 has it; `error` is what became of it."""

    def __init__(self, study: Settings, origin: Path, folder: Path) -> None:
        """Start the process for a study that was checked; raises OSError."""
        self.error: SearcherError | None = None
        self._process = ProcessBeside(folder / LOG, "hpmpi.leader.searcher_process")
        self._decode = msgspec.msgpack.Decoder(Suggested | Raised).decode
        self._thought: Suggested | None = None
        self._thinks_of: int | None = None
        self._asked_at = 0.0
        self._said = False
        self._say(Study(study.toml(), str(origin)))

    def ask(self, trial: int) -> Config | Later | None:
        """Give what was thought of; raises SearcherError where nothing more will be."""
        self.poll()
        if self.error is not None:
            raise self.error
        thought, self._thought = self._thought, None
        if thought is None:
            self._think_of(trial)
            return LATER
        assert thought.trial == trial, "trials begin one after the other"
        if thought.config is not None:
            self._think_of(trial + 1)
        return thought.config

    def adopt(self, trial: int, config: Config) -> None:
        """Tell it what it had suggested."""
        self._say(Adopt(trial, config))

    def tell(
        self, trial: int, rung: int, resource: int, loss: float | None, metrics: Metrics
    ) -> None:
        """Tell it what came of a trial."""
        self._say(Tell(trial, rung, resource, loss, metrics))

    def descriptors(self) -> list[int]:
        """Return what to wait on for news of it."""
        return [] if self.error is not None else [self._process.frames.fileno()]

    def poll(self) -> bool:
        """Take in what it says; true if there is anything new."""
        if self.error is not None:
            return False
        frames = self._process.frames
        frames.flush()
        news = [self._decode(message) for message in frames.receive()]
        for each in news:
            if isinstance(each, Raised):
                self.error = SearcherError(each.said)
            else:
                self._thought, self._thinks_of = each, None
        if frames.closed and self.error is None:
            todo = "the journal has all that was heard: the same command goes on from here"
            said = f"the searcher's process {self._process.end_told()}"
            self.error = SearcherError(f"{said}\n{todo}")
        self._mention()
        return bool(news) or self.error is not None

    def close(self) -> None:
        """End the process, whatever it thinks of."""
        self._process.close()

    def _think_of(self, trial: int) -> None:
        if self._thinks_of is None:
            self._thinks_of = trial
            self._asked_at, self._said = time.monotonic(), False
            self._process.output.trim()
            self._say(Ask(trial))

    def _mention(self) -> None:
        thinks = self._thinks_of is not None and not self._said
        if thinks and time.monotonic() - self._asked_at > LONG_S:
            self._said = True
            log.info("the searcher thinks for more than %g s: new trials wait for it", LONG_S)

    def _say(self, message: Study | Order) -> None:
        self._process.frames.send(msgspec.msgpack.encode(message))
