"""Which command a command line names, and whether it is one for ranks; read before all else."""

from collections.abc import Sequence

ASKING = {"-h", "--help", "--version"}


def named(arguments: Sequence[str]) -> bool:
    """Tell whether a command is named; without one, `run` is meant."""
    if not arguments or arguments[0].endswith(".toml"):
        return False
    return not arguments[0].startswith("-") or arguments[0] in ASKING


def is_script(arguments: Sequence[str]) -> bool:
    """Tell whether it is a program of the user's that is to be run, with what follows."""
    return bool(arguments) and arguments[0].endswith(".py")


def wants_ranks(arguments: Sequence[str]) -> bool:
    """Tell whether the ranks that a launcher has started are to meet: for a run, or for a script.

    >>> wants_ranks(["study.toml"]), wants_ranks(["run", "--workers=2"]), wants_ranks(["show", "d"])
    (True, False, False)
    """
    is_run = not named(arguments) or arguments[0] == "run"
    alone = any(each in ASKING or each.startswith("--w") for each in arguments)  # --workers
    return is_script(arguments) or (is_run and not alone)
