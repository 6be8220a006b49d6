"""What can go wrong with what a user gave us. Anything else that is raised is a bug of ours.

Each message says what was given, what is valid, and what to do; the front door prints it without a
traceback and exits with 2. A lost rank, a late result and a failed trial are not errors but cases.
"""


class HpmpiError(Exception):
    """Bad input, said in one message that stands by itself.

    Where it `may_pass`, nobody's input is bad: the same may do well when it is started again.
    """

    may_pass = False


class SettingsError(HpmpiError):
    """A study file or an option that can't be used; lists every mistake found."""

    def __init__(self, problems: list[str]) -> None:
        """Join the problems, one a line."""
        super().__init__("\n".join(problems))
        self.problems = problems


class SpaceError(HpmpiError):
    """A hyperparameter that can't be, or a configuration that is not in its space."""


class ObjectiveError(HpmpiError):
    """The objective can't be found, can't be loaded, or returned what is no result."""


class SearcherError(HpmpiError):
    """A searcher or a scheduler that has raised."""


class OutputError(HpmpiError):
    """What was asked for can't be written to stdout: the disk is full, say."""


class StoreError(HpmpiError):
    """A run folder that can't be read, written or continued."""


class DiskError(StoreError):
    """The run folder can't be written now: the disk is full, say."""

    may_pass = True


class SlurmError(HpmpiError):
    """Slurm does not answer what can't be done without."""

    may_pass = True


class TransportError(HpmpiError):
    """The ranks do not form one world."""


class MeetingError(TransportError):
    """A rank died before all had met."""

    may_pass = True


class ReplayError(HpmpiError):
    """A journal says what can't be derived from its seed and from what it says before."""


class Drained(SystemExit):
    """A run that Python has asked for was drained: the same call goes on from here.

    A program that lets it pass ends with 75, which asks a batch system to start it again.
    """
