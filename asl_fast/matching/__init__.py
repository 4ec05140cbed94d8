"""Candidates -> matches: every pair gets a verdict, and matches.csv keeps them."""

from asl_fast.matching.judge import judge
from asl_fast.matching.table import read_matches, write_matches

__all__ = ["judge", "read_matches", "write_matches"]
