"""Edits that put a picture together with something else."""
