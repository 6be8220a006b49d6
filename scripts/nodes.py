#!/usr/bin/env python3
"""Time a study on 1, 2, 3, ... nodes of a Slurm cluster, and say what each more node brings.

    python scripts/nodes.py spaces/covtype_forest.toml --ntasks-per-node 4 --out results/nodes
    sudo python scripts/nodes.py spaces/covtype_forest.toml --here --set objective_args.rows=2000

One allocation after the other runs the whole study in a folder of its own. The time is that from
the first job's beginning to the last one's end, by the journal: neither the queue nor the start of
the ranks is in it. With `--here`, a Slurm of three nodes is brought up on this machine: its nodes
share the cores that are here, so more nodes bring more only as long as a core is idle.
"""

import argparse
import json
import os
import sys
from contextlib import nullcontext
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parents[1]))

import hpmpi
from hpmpi.errors import HpmpiError
from hpmpi.views import show
from hpmpi.views.run_view import look
from tests.slurm.allocations import as_user
from tests.slurm.cluster import missing, temporary

BAD_INPUT = 2


def main() -> None:
    """Time it on so many nodes, one after the other."""
    options = parser().parse_args()
    if options.here and (why := missing()):
        sys.exit(f"there can be no Slurm here: {why}")
    with temporary(max(options.nodes)) if options.here else nullcontext() as cluster:
        if cluster is not None:
            as_user(cluster)
            os.environ.update(cluster.env)
        try:
            rows = [timed(nodes, options) for nodes in options.nodes]
        except HpmpiError as error:
            print(f"nodes.py: {error}", file=sys.stderr)
            sys.exit(BAD_INPUT)
    print(json.dumps(rows, indent=2) if options.json else table(rows))
    print()
    print(show.text(look(folder_of(options, options.nodes[-1])), top=3))


def parser() -> argparse.ArgumentParser:
    """Make the parser of the command line."""
    it = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    it.add_argument("study", type=Path)
    it.add_argument("--nodes", type=int, nargs="+", default=[1, 2, 3], metavar="N")
    it.add_argument("--ntasks-per-node", type=int, default=2, metavar="N", help="one of all leads")
    it.add_argument("--time", default="4:00:00", help="for each allocation")
    it.add_argument("--set", action="append", default=[], metavar="TABLE.KEY=VALUE")
    it.add_argument("--sbatch", action="append", default=[], metavar="KEY=VALUE")
    it.add_argument("--out", type=Path, default=Path("results/nodes"), metavar="DIR")
    it.add_argument("--here", action="store_true", help="on a Slurm brought up here, as root")
    it.add_argument("--json", action="store_true")
    return it


def timed(nodes: int, options: argparse.Namespace) -> dict[str, float]:
    """Run the study on so many nodes, and measure it."""
    folder = folder_of(options, nodes)
    job = hpmpi.submit(
        options.study,
        changes=options.set,
        out=folder,
        fresh=folder.exists(),
        nodes=nodes,
        ntasks_per_node=options.ntasks_per_node,
        time=options.time,
        sbatch=options.sbatch,
    )
    print(f"{nodes} nodes: job {job.job_id}", file=sys.stderr, flush=True)
    code = job.result()
    if code != 0:
        sys.exit(f"the run on {nodes} nodes ended with {code}; see {job.paths.stdout}")
    history = look(folder).history
    begun = min(attempt.begun for attempt in history.attempts.values())
    ended = max(attempt.end(history.at) for attempt in history.answers)
    return {
        "nodes": nodes,
        "workers": nodes * options.ntasks_per_node - 1,
        "results": history.results,
        "seconds": ended - begun,
    }


def folder_of(options: argparse.Namespace, nodes: int) -> Path:
    """Name the run folder."""
    folder: Path = options.out / f"{options.study.stem}-{nodes}"
    return folder


def table(rows: list[dict[str, float]]) -> str:
    """Write the times, and how much faster each is than the first."""
    lines = ["nodes  workers  results   seconds  speed-up"]
    lines += [
        f"{row['nodes']:5d}  {row['workers']:7d}  {row['results']:7d}  {row['seconds']:8.1f}  "
        f"{rows[0]['seconds'] / row['seconds']:8.2f}"
        for row in rows
    ]
    return "\n".join(lines)


if __name__ == "__main__":
    main()
