#!/bin/bash

# Parameters
#SBATCH --account=physics
#SBATCH --array=0-3%2
#SBATCH --constraint='icelake|rome'
#SBATCH --cpus-per-task=8
#SBATCH --dependency=afterany:4711
#SBATCH --exclusive
#SBATCH --gpus-per-node=4
#SBATCH --gpus-per-task=a100:1
#SBATCH --job-name='my study'
#SBATCH --mail-user=me@example.org
#SBATCH --mem=16G
#SBATCH --no-kill
#SBATCH --nodes=2
#SBATCH --ntasks-per-node=4
#SBATCH --open-mode=append
#SBATCH --output=FOLDER/out.submitit/%A_%a_0_log.out
#SBATCH --partition=long
#SBATCH --qos=low
#SBATCH --requeue
#SBATCH --signal=B:USR1@300
#SBATCH --time=2160

# setup
trap '' USR1
module load gcc
source "$HOME/venv/bin/activate"

# command
export SUBMITIT_EXECUTOR=slurm
exec PYTHON -u -m submitit.core._submit FOLDER/out.submitit
