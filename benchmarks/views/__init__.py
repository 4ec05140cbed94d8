"""Views beside the peers: `make bench-views` runs `python -m benchmarks.views`.

cases.py    single edits, and chains as BoT draws them    photos.py   the files that are measured on
peers/      how each peer does each of our edits          editing.py  a peer on decoded pictures, in CPU time
loading.py  files to batches, with workers, in wall time  ourselves.py  tracing's share of the time; memory
run.py      engines in turns, every part saved at once    goals.py    what was aimed at, and what came out
tables.py   the rows as Markdown

pytest-benchmark is not used: it ends one engine's rounds before it begins the next one's, and here engines
take turns, since what else the machine does would be counted against one of them.
"""
