"""Pairs -> matches: every pair gets a verdict, and matches.csv keeps them."""

from asl_fast.matching.judge import judge
from asl_fast.matching.table import Written, read_matches, write_matches, write_pairs

__all__ = ["Written", "judge", "read_matches", "write_matches", "write_pairs"]
