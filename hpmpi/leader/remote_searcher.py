"""A searcher of the user's, in a process of its own: rank 0 never waits for its thoughts.

    ask --> a suggestion that was thought of already, or LATER: it is asked for meanwhile

One suggestion is thought of ahead, so that a rank seldom waits for more than it takes to give it a
job. What the searcher prints is in `logs/searcher.log`. Where it raises, or its process dies, the
next `ask` raises: nothing that was heard is lost, and the run ends in order.
"""

import logging
import signal
import time
from collections import deque
from pathlib import Path
from typing import Any

import msgspec

from hpmpi.errors import SearcherError
from hpmpi.guard import process_tree
from hpmpi.leader.results_writer import ended
from hpmpi.master.searchers import LATER, Later
from hpmpi.model.trial import Config, Metrics
from hpmpi.study.settings import Settings
from hpmpi.transports import unlaunched
from hpmpi.transports.framing import Frames
from hpmpi.worker import spawn
from hpmpi.worker.log_file import Output

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
        self._output = Output(folder / LOG)
        # It inherits the mask: whoever signals all processes of a run means rank 0.
        mask = signal.pthread_sigmask(signal.SIG_BLOCK, signal.valid_signals())
        try:
            self._process, wire = spawn.wired(
                "hpmpi.leader.searcher_process",
                stdout=self._output,
                stderr=self._output,
                env=unlaunched(),
            )
        finally:
            signal.pthread_sigmask(signal.SIG_SETMASK, mask)
        process_tree.offer_to_kernel(self._process.pid)
        self._frames = Frames(wire)
        self._decode = msgspec.msgpack.Decoder(Suggested | Raised).decode
        self._suggestions: deque[Suggested] = deque()
        self._thinks_of: int | None = None
        self._asked_at = 0.0
        self._said = False
        self._say(Study(study.toml(), str(origin)))

    def ask(self, trial: int) -> Config | Later | None:
        """Give what was thought of; raises SearcherError where nothing more will be."""
        self.poll()
        if self.error is not None:
            raise self.error
        config: Config | Later | None = LATER
        while self._suggestions and config is LATER:
            thought = self._suggestions.popleft()
            if thought.trial == trial:
                config = thought.config
        if config is LATER:
            self._think_of(trial)
        elif config is not None:
            self._think_of(trial + 1)
        return config

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
        return [] if self._frames.closed else [self._frames.fileno()]

    def poll(self) -> bool:
        """Take in what it says; true if there is anything new."""
        if self.error is not None:
            return False
        self._output.trim()
        self._frames.flush()
        news = [self._decode(message) for message in self._frames.receive()]
        for each in news:
            if isinstance(each, Raised):
                self.error = SearcherError(each.said)
            else:
                self._suggestions.append(each)
                self._thinks_of = None
        if self._frames.closed and self.error is None:
            words = self._output.tail().rpartition("\n")[2]
            last = f": {words} ({LOG} says more)" if words else ""
            todo = "the journal has all that was heard: the same command goes on from here"
            self.error = SearcherError(
                f"the searcher's process {ended(self._process)}{last}\n{todo}"
            )
        self._mention()
        return bool(news) or self.error is not None

    def close(self) -> None:
        """End the process, whatever it thinks of."""
        self._frames.close()
        self._process.kill()
        self._process.wait()
        self._output.close()

    def _think_of(self, trial: int) -> None:
        if self._thinks_of is None:
            self._thinks_of = trial
            self._asked_at, self._said = time.monotonic(), False
            self._say(Ask(trial))

    def _mention(self) -> None:
        thinks = self._thinks_of is not None and not self._said
        if thinks and time.monotonic() - self._asked_at > LONG_S:
            self._said = True
            log.info("the searcher thinks for more than %g s: new trials wait for it", LONG_S)

    def _say(self, message: Study | Order) -> None:
        self._frames.send(msgspec.msgpack.encode(message))
