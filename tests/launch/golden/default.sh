#!/bin/bash
# Run a study to its end: through the time limit, preemption and dead nodes.
#
#   sbatch [OPTIONS OF sbatch] THIS_SCRIPT [ARGUMENTS OF hpmpi launch]
#
# What is here can be said on sbatch's command line as well; slurm/README.md says what each is for.
#
#SBATCH --job-name=mine
#SBATCH --nodes=2
#SBATCH --ntasks-per-node=4
#SBATCH --time=60
#SBATCH --requeue
#SBATCH --no-kill
#SBATCH --signal=B:USR1@60
#SBATCH --open-mode=append
#SBATCH --output=FOLDER/out.slurm/%j_0_log.out

trap '' USR1  # until hpmpi listens

# Modules and the environment, with a Python that has hpmpi, on all nodes:

exec PYTHON -m hpmpi launch FOLDER/mine.toml --out FOLDER/out "$@"
