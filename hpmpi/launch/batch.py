"""The batch step of a submission, as submitit writes, submits and watches it.

One pickled function runs in it, and starts the ranks as `hpmpi launch` does. What submitit keeps -
the script, the log, what the function returned - lies in DIR.submitit, beside the run folder DIR
and not in it: `--fresh` moves DIR aside while these files are in use.

How an allocation is, squeue says. submitit would ask sacct, which knows nothing where Slurm keeps
no accounts: it would wait for ever for an allocation that has died.
"""

import atexit
import contextlib
import io
import logging
import os
import re
import shlex
import shutil
import signal
import sys
import time
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import NamedTuple

from hpmpi.errors import HpmpiError, SettingsError, StoreError
from hpmpi.launch import placement
from hpmpi.launch.launch import Order, folder_of_task, launch
from hpmpi.launch.launchers import OF_A_RANK
from hpmpi.leader import run
from hpmpi.slurm import step
from hpmpi.slurm.sbatch_options import OURS, Needs, minutes, numbers, option_of
from hpmpi.slurm.squeue import HABITS
from hpmpi.storage.files import link_or_copy
from hpmpi.worker.entry import BAD_INPUT

try:
    from submitit import SlurmExecutor, SlurmJob
    from submitit.core.utils import FailedJobError, FailedSubmissionError
    from submitit.slurm.slurm import SlurmInfoWatcher
except ImportError as error:
    raise HpmpiError(f"submit needs submitit ({error}): pip install submitit") from error

ENDED_S = 60.0
"""How long a batch step that has drained waits for Slurm to end it."""

UNHEARD_OF = "UNHEARD OF"
"""What Slurm says of an allocation that has been over for minutes: nothing."""

OVER = {
    *("BOOT_FAIL", "CANCELLED", "COMPLETED", "DEADLINE", "FAILED", "NODE_FAIL", "OUT_OF_MEMORY"),
    *("PREEMPTED", "REVOKED", "TIMEOUT", UNHEARD_OF),
}
"""The states that nothing comes after."""

NAMED = ("cpus_per_task", "gpus_per_task", "gpus_per_node", "mem", "partition", "account", "qos")
"""What submitit calls as Slurm does."""

ALWAYS: dict[str, str | int | bool] = {
    "no-kill": True,  # a node that dies takes its own ranks, and not the others
    "requeue": True,
    "signal": "B:USR1@60",  # to the batch step, in time to drain
}

UNTIL_HEARD = "trap '' USR1"
"""A signal that comes before launch listens must not end the script."""

log = logging.getLogger("hpmpi")


class Request(NamedTuple):
    """A checked submission: what the batch step does, for which run folder, and on what."""

    order: Order
    folder: Path
    name: str
    needs: Needs

    @property
    def kept(self) -> Path:
        """Where submitit keeps its files."""
        return self.folder.with_name(f"{self.folder.name}.submitit")

    @property
    def log(self) -> Path:
        """Where the log goes; the allocation's numbers are `%j`, or `%A` and `%a` in an array."""
        number = "%j" if self.needs.array is None else "%A_%a"
        return self.kept / f"{number}_0_log.out"

    def folder_of(self, number: str) -> Path:
        """Name the run folder of an allocation, which may be a task of an array."""
        _, is_task, task = number.partition("_")
        return folder_of_task(self.folder, task) if is_task else self.folder


class Watcher(SlurmInfoWatcher):
    """Asks squeue how our allocations are."""

    def _make_command(self) -> list[str] | None:
        if not self._registered - self._finished:
            return None
        habits = [word for name in os.environ if name.startswith(HABITS) for word in ("-u", name)]
        command = ["squeue", "--noheader", "--array", "--states=all", f"--user={os.getuid()}"]
        return ["env", *habits, *command, "--format=%i|%T|%r"]

    def read_info(self, string: bytes | str) -> dict[str, dict[str, str]]:
        """Read what it says."""
        text = string if isinstance(string, str) else string.decode(errors="replace")
        found = dict.fromkeys(self._registered - self._finished, (UNHEARD_OF, ""))
        for line in text.splitlines():
            number, _, rest = line.partition("|")
            if number in found:
                state, _, reason = rest.partition("|")
                found[number] = (state, reason)
        return {number: {"State": it[0], "Reason": it[1]} for number, it in found.items()}

    def is_done(self, job_id: str, mode: str = "standard") -> bool:
        """Tell whether an allocation is over, as far as is known."""
        return self.get_state(job_id, mode=mode) in OVER


class Allocation(SlurmJob[int]):
    """An allocation that was submitted; Slurm calls it a job, and so does submitit."""

    watcher = Watcher(delay_s=60)


class Batch(SlurmExecutor):
    """Writes batch scripts, and has sbatch take them."""

    job_class = Allocation

    def __init__(self, request: Request) -> None:
        """Say what is to stand in the script."""
        # Only the first process of the batch step hears its signals: that must be Python.
        super().__init__(request.kept, python=f"exec {shlex.quote(sys.executable)}")
        needs = request.needs
        self.update_parameters(
            **{name: getattr(needs, name) for name in NAMED},
            constraint=needs.constraint,
            job_name=needs.job_name or request.name,
            time=minutes(str(needs.time)),
            setup=[UNTIL_HEARD, *needs.setup],
            dependency=None if needs.after is None else f"afterany:{needs.after}",
            wckey=None,
            stderr_to_stdout=True,
            use_srun=False,  # the ranks' step would wait for the end of this one
            additional_parameters=unseen(request),
        )

    @classmethod
    def affinity(cls) -> int:
        """Write scripts where there is no Slurm, too."""
        return 1

    def script(self) -> str:
        """Write the script that sbatch is given."""
        return str(self._make_submission_file_text(self._submitit_command_str, ""))


def unseen(request: Request) -> dict[str, str | int | bool]:
    """Say what submitit must pass on and not see: it would wait for a result of every task."""
    needs = request.needs
    size = {"nodes": needs.nodes, "ntasks-per-node": needs.ntasks_per_node}
    array = {} if needs.array is None else {"array": needs.array}
    others: dict[str, str | int | bool] = {}
    for option in needs.sbatch:
        key, equals, value = option.partition("=")
        others[key] = value if equals else True
    always = {key: value for key, value in ALWAYS.items() if f"no-{key}" not in others}
    return {**always, **size, **array, "output": str(request.log), **others}


def send(request: Request) -> list[Allocation]:
    """Submit: one allocation, or one for each task of an array; raises HpmpiError.

    What was written goes again where Slurm refuses.
    """
    if shutil.which("sbatch") is None:
        raise SettingsError(
            ["there is no sbatch here: submit from where Slurm is; `hpmpi launch` needs none"]
        )
    before = listed(request.kept)
    if request.needs.nodes > 1 and request.needs.ntasks_per_node == 1:
        log.warning("submit: %s", placement.advice("its first node"))
    batch = Batch(request)
    said = io.StringIO()  # submitit prints what it raises as well
    try:
        with passing_on(batch.script()), contextlib.redirect_stderr(said):
            job = batch.submit(in_batch, request.order)
    except (FailedJobError, FailedSubmissionError) as error:
        tidy(request.kept, before)
        raise SettingsError([f"Slurm refuses it: {error}"]) from error
    except OSError as error:
        tidy(request.kept, before)
        raise StoreError(f"{request.kept} can't be written: {error.strerror}") from error
    assert isinstance(job, Allocation)
    return [job] if request.needs.array is None else tasks(job, request)


@contextlib.contextmanager
def passing_on(script: str) -> Iterator[None]:
    """Have in the environment only what an allocation with this script is to have, and say so.

    sbatch takes options from there rather than from a script, and hands on what it finds.
    """
    before = dict(os.environ)
    if "SLURM_JOB_ID" in before:
        said = "submit: what Slurm has set for allocation %s is not passed on"
        log.warning(said, before["SLURM_JOB_ID"])
    if refused := contradicting(script, before):
        log.warning("submit: not heeded, as it is said otherwise here: %s", ", ".join(refused))
    for name in before:
        of_here = step.is_slurms(name) or name.startswith(("SLURMD_", *OF_A_RANK))
        if name in refused or of_here:
            del os.environ[name]
    try:
        yield
    finally:
        os.environ.clear()
        os.environ.update(before)


def contradicting(script: str, environment: Mapping[str, str]) -> list[str]:
    """List the variables by which sbatch would take other options than those of a script."""
    lines = re.findall(r"^#SBATCH --([a-z-]+)", script, re.MULTILINE)
    said = {option_of(option) for option in (*lines, *OURS)}
    return [
        name
        for name in sorted(environment)
        if name.startswith("SBATCH_") and option_of(name) in said
    ]


def tasks(array: Allocation, request: Request) -> list[Allocation]:
    """Give each task of an array the function, which its batch step waits for."""
    assert request.needs.array is not None
    each = numbers(request.needs.array)
    jobs = [Allocation(request.kept, f"{array.job_id}_{number}") for number in each]
    for job in jobs:
        link_or_copy(array.paths.submitted_pickle, job.paths.submitted_pickle)
    return jobs


def listed(folder: Path) -> set[Path]:
    """List a folder, if it is there."""
    return set(folder.iterdir()) if folder.exists() else set()


def tidy(folder: Path, before: set[Path]) -> None:
    """Remove what was not there before, and the folder if that leaves it empty."""
    with contextlib.suppress(OSError):
        for path in listed(folder) - before:
            path.unlink()
        folder.rmdir()


def in_batch(order: Order) -> int:
    """Be the batch step: start the ranks, and return the run's exit code.

    Where Slurm starts the allocation again, the last start returns the code, and this one none.
    """
    logging.basicConfig(
        level=logging.INFO, format="%(asctime)s %(message)s", datefmt="%H:%M:%S", stream=sys.stderr
    )
    try:
        code = launch(order)
    except HpmpiError as error:
        log.error("%s", error)  # noqa: TRY400 - what is said of bad input stands by itself
        code = run.TRY_AGAIN if error.may_pass else BAD_INPUT
    if code == run.TRY_AGAIN:
        signal.signal(signal.SIGTERM, signal.SIG_DFL)
        time.sleep(ENDED_S)
    # submitit would end with 0, and Slurm say COMPLETED of a run that is not.
    atexit.register(os._exit, code)
    return code
