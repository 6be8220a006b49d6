"""The supervisor of an objective's process: what its Lifecycle decides is done here.

Whatever an objective does, all that its rank gets is a report. The child stays for the next job, so
that imports are paid once, unless one has failed; what a job has left running stays with it, and
ends with it. It ends as any program does: buffers are flushed, `finally` and atexit hooks run.
"""

import math
import os
import time
from pathlib import Path

import msgspec

from hpmpi.guard import process_tree
from hpmpi.model.messages import (
    Agreed,
    Assign,
    Cancel,
    Failed,
    Fence,
    Measured,
    Ready,
    Report,
    Retire,
    Save,
    Unfit,
    Welcome,
    Word,
)
from hpmpi.model.timers import Sparing
from hpmpi.transports import resources
from hpmpi.transports.framing import Frames, await_any
from hpmpi.transports.resources import Share
from hpmpi.worker import baseline
from hpmpi.worker.child_events import ChildStarted, ChildTick, Died, Event, HungUp, PassOn, Unborn
from hpmpi.worker.environment import environment, provision
from hpmpi.worker.gpus import Gpus
from hpmpi.worker.lifecycle import BUSY, ENDING, IDLE, LOADING, NEW, PRESSED, Lifecycle
from hpmpi.worker.limits import explain
from hpmpi.worker.log_file import Output
from hpmpi.worker.memory import memory_of
from hpmpi.worker.meter import Meter
from hpmpi.worker.mpi_world import MpiWorld
from hpmpi.worker.pmi import has_world
from hpmpi.worker.process import END_LOOK_S, KILL_S, ChildProcess
from hpmpi.worker.spawn import Forked
from hpmpi.worker.starting import Starts

CLOSE_S = 2.0
"""How long they are waited for at the end."""

HANG_UP_S = 0.1
"""How long a child that has hung up may take to end."""

CHECK_EVERY_S = 0.05
"""How often it is looked whether a child lives, that has not hung up."""

LOOK_EVERY_S = 0.5
"""How often memory and output are looked at."""

LOOK_SHARE = 0.02
"""The share of a core that this may take."""


class Child:
    """The child of a rank; times are those of one monotonic clock, in seconds."""

    def __init__(
        self, welcome: Welcome, output: Path, share: Share, forked: Forked | None = None
    ) -> None:
        """Prepare; `start` starts it. What it prints is appended to the file `output`."""
        self._welcome = welcome
        self._path = output
        self._share = share
        self._forked = forked
        self._starts: Starts | None = None
        self._life = Lifecycle(welcome, resources.host())
        self._decoder = msgspec.msgpack.Decoder(Report)
        self._process: ChildProcess | None = None
        self._reports: list[Report] = []
        self._fences: list[Fence] = []
        self._check_at = 0.0
        self._looking = Sparing(LOOK_SHARE, LOOK_EVERY_S)
        self._meter = Meter()
        self._waited_s = 0.0
        self._gpus = Gpus(share, welcome.gpus_per_trial)

    def start(self, now: float) -> None:
        """Start a process and have it load the objective, where one is to be started."""
        if self._life.state is not NEW:
            return
        process_tree.adopt()
        error = resources.refusal(self._share, self._welcome.gpus_per_trial)
        if error is None:
            try:
                self._process = self._spawn()
            except OSError as raised:
                error = f"the objective's process can't be started: {raised}"
        if error is None:
            self._handle(ChildStarted(), now)
            return
        self._handle(Unfit(resources.host(), error), now)
        self.start(now)  # the objective's, where it was the baseline's that could not be

    def descriptors(self) -> list[int]:
        """Return what to wait on for news of the child."""
        return [] if self._process is None else self._process.descriptors()

    @property
    def unsent(self) -> bool:
        """Whether the child is being sent more than goes at once: `poll` goes on with it."""
        return self._process is not None and self._process.frames.unsent

    def assign(self, order: Assign, now: float) -> None:
        """Have the child do a job, or the next child where this one ends or would not do."""
        self._handle(order, now)

    def save(self) -> None:
        """Pass on that the job in work is to end with its next checkpoint."""
        self._handle(Save(), 0.0)

    def cancel(self, order: Cancel, now: float) -> None:
        """End the job in work, or have it not begun, if it is this one: `poll` says when it is."""
        self._handle(order, now)

    def tell(self, word: Word, now: float) -> None:
        """Pass on what another member of a group says."""
        if isinstance(word, Agreed):
            self._handle(word, now)
            return
        world = None if self._process is None else self._process.world
        if world is not None and world.attempt == word.attempt:
            self._reports += world.hear(word)
        else:
            self._fences.append(word)  # its process is to be started yet

    @property
    def is_ending(self) -> bool:
        """Whether there is a process that has to end: `poll` sees to it, if it is called often."""
        return self._life.state in (ENDING, PRESSED)

    @property
    def is_in_world(self) -> bool:
        """Whether the process may have something to say to others, whatever it does."""
        return self._process is not None and self._process.world is not None

    def poll(self, now: float) -> list[Report]:
        """Take in what the child says; enforce its limits; speak for it when it is dead."""
        if self._process is not None:
            if self._process.world is not None:
                self._reports += self._process.world.poll()
            self._poll(self._process, now)
        reports, self._reports = self._reports, []
        return reports

    def retire(self, now: float) -> None:
        """Have the child end in order, and no other follow: `poll` sees to it until it has."""
        self._handle(Retire(), now)

    @property
    def ended(self) -> bool:
        """Whether there is no process."""
        return self._process is None

    def leave(self) -> None:
        """End the child in order, and wait for that."""
        self.retire(time.monotonic())
        while not self.ended:
            self.poll(time.monotonic())
            await_any(self.descriptors(), limit_s=END_LOOK_S)

    def close(self) -> None:
        """End the child, and all it has started, now."""
        if self._process is not None:
            self._process.hold.kill(CLOSE_S)
            self._release(self._process)
        if self._starts is not None:
            self._starts.close()

    def _poll(self, process: ChildProcess, now: float) -> None:
        frames = process.frames
        frames.flush()
        self._hear(frames, now)
        answered = bool(self._reports) and self._life.state is IDLE
        if (answered or now < self._check_at) and not frames.closed:
            return  # a rank waits for its next job
        self._check_at = now + CHECK_EVERY_S
        process_tree.bury_orphans()
        code = process.hold.poll()
        self._hear(frames, now)  # its last words
        if code is None and frames.closed:
            code = process.await_end(HANG_UP_S)
        if process.hold.unborn:
            self._start_another(process, now)
            return
        if code is not None:
            self._bury(process, code, now)
            return
        if frames.closed:
            self._handle(HungUp(rubbish=frames.malformed), now)
        used_mb = self._look(process, now) if self._looking.is_due(now) else 0.0
        self._handle(ChildTick(used_mb), now)

    def _hear(self, frames: Frames, now: float) -> None:
        try:
            reports = [self._decoder.decode(message) for message in frames.receive()]
        except msgspec.DecodeError:
            self._handle(HungUp(rubbish=True), now)
        else:
            for report in reports:
                self._handle(report, now)

    def _bury(self, process: ChildProcess, code: int, now: float) -> None:
        if process.hold.kill(KILL_S):  # the next has the memory only when they are gone
            died = Died(code, process.is_taken(), process.output.tail())
            self._release(process)
            self._handle(died, now)
            self.start(now)

    def _start_another(self, process: ChildProcess, now: float) -> None:
        """Start the process that has not come to be, by the next way."""
        assert self._starts is not None, "it has asked for this one"
        self._starts.miss(process)
        self._release(process)
        self._handle(Unborn(), now)
        self.start(now)

    def _look(self, process: ChildProcess, now: float) -> float:
        """Tell the megabytes that a job has by now, and hold the output to its limit."""
        began_at = time.monotonic()
        process.output.trim()
        used = self._used_bytes(process) if self._life.state is BUSY else 0
        self._looking.took(time.monotonic() - began_at, now)
        return used / 1e6

    def _used_bytes(self, process: ChildProcess) -> int:
        """Measure the memory of a job: all of it where there is a limit, else what is at hand."""
        memory_mb, data = self._welcome.memory_mb, self._welcome.data
        if memory_mb is None:
            pids = process.hold.at_hand()
            used = memory_of(pids, math.inf)
        else:
            pids = process.hold.members()
            used = memory_of(pids, memory_mb * 1e6, data and os.path.realpath(data))
        self._meter.see(used, self._gpus.look(pids))
        return used

    def _handle(self, event: Event, now: float) -> None:
        was = self._life.state
        commands = self._life.handle(event, now)
        if was is LOADING and self._life.state in (IDLE, BUSY):
            self._meter.start(*self._family())
        if self._life.state is BUSY is not was and self._process is not None:
            self._meter.begin(now)
            self._process.begin_job()
        for command in commands:
            if isinstance(command, PassOn):
                self._pass_on(command.report, now)
            elif self._process is not None:
                self._process.do(command)

    def _pass_on(self, report: Report, now: float) -> None:
        if isinstance(report, Failed) and self._process is not None:
            report = explain(report, self._process.is_taken)
        if isinstance(report, Measured) and self._meter.end(now):
            usage = self._meter.measure(*self._family(), now)
            report = msgspec.structs.replace(report, usage=usage)
        elif isinstance(report, Ready):
            note = "" if self._starts is None else self._starts.note
            notes = (*report.notes, note) if note else report.notes
            has = provision(self._share, self._welcome.gpus_per_trial)
            report = msgspec.structs.replace(report, has=has, notes=notes)
        self._reports.append(report)

    def _family(self) -> tuple[list[int], float]:
        """List the processes of the objective, and sum up what those have used that have ended."""
        if self._process is None:
            return [], self._waited_s
        return self._process.hold.at_hand(), self._process.hold.waited_s

    def _spawn(self) -> ChildProcess:
        if self._starts is None:
            env = environment(self._share, self._welcome.gpus_per_trial)
            self._starts = Starts(self._welcome, env, self._forked)
        output = Output(self._log())
        order, world = self._life.next_job, None
        if order is not None and has_world(self._welcome, order):
            world = MpiWorld(self._welcome, order)
        try:
            process = self._starts.start(output, world)
        except OSError:
            output.close()
            raise
        if world is not None:
            self._tell_who_came(world)
        return process

    def _tell_who_came(self, world: MpiWorld) -> None:
        """Tell a process in a world who has come to its fences already."""
        fences, self._fences = self._fences, []
        for fence in fences:
            if fence.attempt == world.attempt:
                self._reports += world.hear(fence)

    def _log(self) -> Path:
        """Tell where the next process prints to."""
        if not self._life.next_of_baseline:
            return self._path
        return Path(self._welcome.folder) / baseline.FOLDER / self._path.name

    def _release(self, process: ChildProcess) -> None:
        self._waited_s = process.hold.waited_s
        process.close()
        self._process = None
