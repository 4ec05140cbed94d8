"""Edits that move pixels."""
