"""Tune hyperparameters on a cluster with nothing but MPI.

The map of the package; imports go down the list, never up:

- front doors: `cli` (the command line), `show`, `export`
- a run: `settings` (one TOML file, checked), `run` (lead or serve)
- I/O, one dangerous thing each: `guard` (between the launcher and the rank), `transports` (MPI, or
  sockets on one machine), `frames`, `objective`, `child`, `worker`, `store`, `trainables`
- decisions, pure: `roster`, `searchers`, `schedulers`, `master`, `leaderboard`
- words: `errors`, `trial`, `messages`, `space`, `names`

The one idea: a job is "train trial t up to the resource of rung k", and the master is a pure
function of what it hears. Everything that can fail is outside of it.

Nothing is imported here: the guard starts before MPI is, and pays for every import of this file.
"""

__version__ = "0.1.0"
