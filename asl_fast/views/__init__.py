"""Orders (a photo's number and a chain of edits) -> batches of pixels with their traces.

sources.py  where the encoded photos are     orders.py  what is ordered, made, and who makes it
cpu.py      the executor for CPUs            stream.py  batches made ahead
making.py   the views of one photo           scaled.py  photos decoded no larger than they are needed
cache.py    decoded photos, kept             processes.py worker.py messages.py  workers and how they are told
"""

from asl_fast.views.cpu import CpuExecutor
from asl_fast.views.orders import MadeViews, ViewExecutor, ViewOrder, shard_of
from asl_fast.views.sources import FilePhotos, MemoryPhotos, PhotoSource
from asl_fast.views.stream import stream

__all__ = [
    "CpuExecutor",
    "FilePhotos",
    "MadeViews",
    "MemoryPhotos",
    "PhotoSource",
    "ViewExecutor",
    "ViewOrder",
    "shard_of",
    "stream",
]
