"""Edits that change values and leave every pixel where it is, or all but a few."""
