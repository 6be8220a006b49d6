"""What Slurm is asked and told."""
