"""Exact search beside its peers: `make bench-search` runs `python -m benchmarks.search`.

cases.py        which sizes are measured, by which engines      descriptors.py  real rows, from photos
data.py         rows of a case, on disk                         int8_peak.py    what the machine could do
engines.py      ours, and the peers                             oracle.py       the float64 answer
worker.py       an engine in a process of its own               goals.py        what was aimed at and came out
run.py          case by case, every row saved at once           __main__.py     the command
"""
