"""`python -m hpmpi`: under a launcher of MPI ranks, first a guard, which forks the rank."""

import contextlib
import os
import signal
import sys
import traceback
from typing import NoReturn

from hpmpi.cli import first_look
from hpmpi.guard import guard, streams


def main() -> None:
    """Run the command line, or guard what does."""
    streams.settle()
    arguments = sys.argv[1:]
    for_ranks = first_look.wants_ranks(arguments)
    if for_ranks and guard.needed() and (code := guard.watch()) is not None:
        leave(code)
    guard.bind_to_guard()
    try:
        from hpmpi.worker import entry  # noqa: PLC0415 - the guard does without

        if entry.serves():
            serve = entry.serve_script if first_look.is_script(arguments) else entry.serve
            leave(serve() if for_ranks or entry.is_local() else 0)
        from hpmpi.cli import main as command_line  # noqa: PLC0415 - and so does who serves

        leave(command_line.main(arguments))
    except SystemExit:  # the objective's process has done: it ends as any program does
        raise
    except KeyboardInterrupt:  # before there was anything to drain
        leave(128 + signal.SIGINT)
    except BaseException:  # noqa: BLE001 - a bug of ours
        traceback.print_exc()
        leave(1)


def leave(code: int) -> NoReturn:
    """End this process at once: MPI_Finalize would wait for ranks that are dead."""
    for stream in (sys.stdout, sys.stderr):
        with contextlib.suppress(Exception):  # an objective in the rank may have put anything there
            stream.flush()
    os._exit(code)


if __name__ == "__main__":
    main()
