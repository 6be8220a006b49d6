#!/bin/bash

# Parameters
#SBATCH --job-name=mine
#SBATCH --no-kill
#SBATCH --nodes=2
#SBATCH --ntasks-per-node=4
#SBATCH --open-mode=append
#SBATCH --output=FOLDER/out.submitit/%j_0_log.out
#SBATCH --requeue
#SBATCH --signal=B:USR1@60
#SBATCH --time=60

# setup
trap '' USR1

# command
export SUBMITIT_EXECUTOR=slurm
exec PYTHON -u -m submitit.core._submit FOLDER/out.submitit
