"""`python -m hpmpi`: under a launcher of MPI ranks, first a guard, which starts this again."""

import os
import sys

from hpmpi import guard


def main() -> None:
    """Run the command line; leave without MPI_Finalize, which would wait for dead ranks."""
    command = [sys.executable, "-m", "hpmpi", *sys.argv[1:]]
    if guard.needed():
        code = guard.watch(command)
    else:
        guard.bind_to_guard()
        from hpmpi import cli  # noqa: PLC0415 - the guard does without

        code = cli.main(sys.argv[1:])
    sys.stdout.flush()
    sys.stderr.flush()
    os._exit(code)


if __name__ == "__main__":
    main()
