"""The training loss beside its peers: `make bench-loss` runs `python -m benchmarks.loss`.

cases.py    which sizes, on which device            oracle.py   the float64 answer, and how far off one is
data.py     the batch and the class weights         run.py      engines in turns, every row saved at once
engines.py  ours, and the peers                     goals.py    what was aimed at, and what came out
worker.py   an engine in a process of its own       tables.py   the rows as Markdown
"""
