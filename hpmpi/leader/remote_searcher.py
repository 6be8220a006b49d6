"""A searcher in a process of its own: rank 0 never waits for its thoughts.

    ask --> a suggestion that was thought of already, or LATER: it is asked for meanwhile

One suggestion is thought of ahead, or several by a searcher that works ahead (prefetch.py), so that
a rank seldom waits for more than it takes to give it a job. A searcher that says LATER itself waits
for results: it is asked again when it has learnt more.

What the searcher prints is in `logs/searcher.log`. Where it raises, or its process dies, the next
`ask` raises: nothing that was heard is lost, and the run ends in order.
"""

import logging
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import msgspec

from hpmpi.errors import SearcherError
from hpmpi.leader.beside import ProcessBeside
from hpmpi.leader.prefetch import Ahead
from hpmpi.master.searchers import LATER, OVER, Later, Over
from hpmpi.model.events import Observation
from hpmpi.model.trial import Config, Metrics
from hpmpi.study.methods import SEARCHER
from hpmpi.study.settings import Settings

LOG = "logs/searcher.log"
"""What the process prints, in the run folder."""

SHARE = 4
"""A searcher that works ahead has as many suggestions ready as there are ranks, divided by this, at
most, and is as many results behind, at most."""

MOST_UNSAID = 100
"""How many orders are sent together at most."""

LONG_S = 10.0
"""A thought that takes longer is said to."""

log = logging.getLogger("hpmpi")


class Study(msgspec.Struct, frozen=True, tag="study"):
    """What is searched: the settings as TOML text, and the folder of the study file.

    `ranks`: how many worker ranks this start has.
    """

    settings: str
    origin: str
    ranks: int


class Ask(msgspec.Struct, frozen=True, tag="ask"):
    """Suggest a configuration."""

    trial: int


class Adopt(msgspec.Struct, frozen=True, tag="adopt"):
    """Have suggested this one."""

    trial: int
    config: dict[str, Any]


class Teach(msgspec.Struct, frozen=True, tag="tell"):
    """Learn what came of a trial."""

    trial: int
    rung: int
    resource: int
    loss: float | None
    metrics: Metrics


class Observe(msgspec.Struct, frozen=True, tag="observe"):
    """Look at points of a trial's learning curve."""

    trial: int
    points: list[tuple[int, Metrics]]


class Learn(msgspec.Struct, frozen=True, tag="learn"):
    """Learn a result of another study."""

    observation: Observation


Order = Study | Ask | Adopt | Teach | Observe | Learn


class Suggested(msgspec.Struct, frozen=True, tag="suggested"):
    """The answer to Ask; None where there is no other."""

    trial: int
    config: dict[str, Any] | None


class Waits(msgspec.Struct, frozen=True, tag="waits"):
    """The answer to Ask that there is none before more results are told."""

    trial: int


class SearcherRaised(msgspec.Struct, frozen=True, tag="raised"):
    """The searcher has raised, for people."""

    said: str


class RemoteSearcher:
    """A searcher as rank 0 has it; `error` is what became of it."""

    def __init__(self, study: Settings, origin: Path, folder: Path, *, ranks: int = 1) -> None:
        """Start the process for a study that was checked; raises OSError.

        `ranks`: how many worker ranks this start has.
        """
        self.error: SearcherError | None = None
        self._process = ProcessBeside(folder / LOG, "hpmpi.leader.searcher_process")
        self._decode = msgspec.msgpack.Decoder(Suggested | Waits | SearcherRaised).decode
        kind = SEARCHER.find(study.searcher["method"], origin)
        self._observes = hasattr(kind, "observe")
        most = max(1, ranks // SHARE)
        self._ahead = Ahead(most, most) if getattr(kind, "works_ahead", False) else Ahead()
        self.asked_after = 0
        """How many results it had been told when it was asked for what it suggested last."""
        self._asked_at = 0.0
        self._said = False
        self._unsaid: list[Order] = [Study(study.toml(), str(origin), ranks)]
        self.send()

    @property
    def waits(self) -> bool:
        """Whether it has no suggestion before it learns more than it was told by now."""
        return self._ahead.waits and self.error is None

    def fail(self, why: str) -> None:
        """Take it for one that has raised."""
        self.error = SearcherError(why)

    def ask(self, trial: int) -> Config | Later | Over:
        """Give what was thought of; raises SearcherError where nothing more will be."""
        thought = self._ahead.take(trial)
        if thought is None and self._receive():
            thought = self._ahead.take(trial)
        if self.error is not None:
            raise self.error
        self._think()
        if thought is None:
            return LATER
        self.asked_after = thought.after
        return OVER if thought.config is None else thought.config

    def adopt(self, trial: int, config: Config) -> None:
        """Tell it what it had suggested."""
        self._say(Adopt(trial, config))

    def tell(
        self, trial: int, rung: int, resource: int, loss: float | None, metrics: Metrics
    ) -> None:
        """Tell it what came of a trial."""
        self._teach(Teach(trial, rung, resource, loss, metrics), results=1)

    def observe(self, trial: int, points: Sequence[tuple[int, Metrics]]) -> None:
        """Show it points of a trial's learning curve, if it learns from such."""
        if self._observes:
            self._teach(Observe(trial, list(points)), results=0)

    def learn(
        self, config: Config, rung: int, resource: int, loss: float | None, metrics: Metrics
    ) -> None:
        """Tell it a result of another study."""
        self._say(Learn(Observation(config, rung, resource, loss, metrics)))

    def descriptors(self) -> list[int]:
        """Return what to wait on for news of it."""
        return [] if self.error is not None else [self._process.frames.fileno()]

    def poll(self) -> bool:
        """Take in what it says, and have it go on; true if there is anything new."""
        is_new = self._receive()
        if self.error is None:
            self._think(soon=True)
            self._mention()
            self.send()
        return is_new

    def send(self) -> None:
        """Send all that is to be told it, and asked of it."""
        if self._unsaid:
            self._process.frames.send(msgspec.msgpack.encode(self._unsaid))
            self._unsaid = []

    def close(self) -> None:
        """End the process, whatever it thinks of."""
        self._process.close()

    def _receive(self) -> bool:
        if self.error is not None:
            return False
        frames = self._process.frames
        frames.flush()
        news = [self._decode(message) for message in frames.receive()]
        for each in news:
            self._hear(each)
        if frames.closed and self.error is None:
            todo = "the journal has all that was heard: the same command goes on from here"
            said = f"the searcher's process {self._process.end_told()}"
            self.error = SearcherError(f"{said}\n{todo}")
        return bool(news) or self.error is not None

    def _hear(self, answer: Suggested | Waits | SearcherRaised) -> None:
        self._asked_at, self._said = time.monotonic(), False
        match answer:
            case SearcherRaised(said):
                self.error = SearcherError(said)
            case Waits():
                self._ahead.hear(LATER)
                self._think()
            case Suggested(config=config):
                self._ahead.hear(config)

    def _teach(self, lesson: Teach | Observe, results: int) -> None:
        self._say(lesson)
        waited = self._ahead.waits
        self._ahead.learn(results)
        if waited:
            self._think()

    def _think(self, *, soon: bool = False) -> None:
        """Ask for what is to be thought of."""
        if not self._ahead.thinks:
            self._asked_at, self._said = time.monotonic(), False
            self._process.output.trim()
        for trial in self._ahead.asks(soon=soon):
            self._say(Ask(trial))

    def _mention(self) -> None:
        if self._ahead.thinks and not self._said and time.monotonic() - self._asked_at > LONG_S:
            self._said = True
            log.info("the searcher thinks for more than %g s: new trials wait for it", LONG_S)

    def _say(self, order: Order) -> None:
        """Have an order be sent, with the others that come of the same event."""
        self._unsaid.append(order)
        if len(self._unsaid) == MOST_UNSAID:
            self.send()
