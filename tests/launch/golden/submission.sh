#!/bin/bash
# Run a study to its end: through the time limit, preemption and dead nodes.
#
#   sbatch [OPTIONS OF sbatch] THIS_SCRIPT [ARGUMENTS OF hpmpi launch]
#
# What is here can be said on sbatch's command line as well; slurm/README.md says what each is for.
#
#SBATCH --job-name='my study'
#SBATCH --nodes=2
#SBATCH --ntasks-per-node=4
#SBATCH --cpus-per-task=8
#SBATCH --gpus-per-task=a100:1
#SBATCH --gpus-per-node=4
#SBATCH --mem=16G
#SBATCH --time=1-12:00:00
#SBATCH --partition=long
#SBATCH --account=physics
#SBATCH --qos=low
#SBATCH --constraint='icelake|rome'
#SBATCH --array=0-3%2
#SBATCH --dependency=afterany:4711
#SBATCH --exclusive
#SBATCH --mail-user=me@example.org
#SBATCH --signal=B:USR1@300
#SBATCH --requeue
#SBATCH --no-kill
#SBATCH --open-mode=append
#SBATCH --output=FOLDER/out.slurm/%A_%a_0_log.out

trap '' USR1  # until hpmpi listens

# Modules and the environment, with a Python that has hpmpi, on all nodes:
module load gcc
source "$HOME/venv/bin/activate"

exec PYTHON -m hpmpi launch FOLDER/mine.toml --out FOLDER/out "$@"
