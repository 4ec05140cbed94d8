"""Image files in, RGB pixels out: find, decode, resize, batch. Nothing a file holds can end a run.

find.py    a folder, list, table, shard or single picture -> ImageFiles with distinct ids
decode.py  bytes -> upright RGB pixels, or ImageError with a short reason
resize.py  pixels of any size -> edge x edge
batches.py many files -> batches in order, read ahead by threads
"""

from asl_fast.images.batches import Batch, Failure, Loader, load_batches
from asl_fast.images.decode import MAX_PIXELS, ImageError, decode
from asl_fast.images.find import ImageFile, find_images, printable
from asl_fast.images.header import Header, read_header
from asl_fast.images.resize import Resize, as_pixels

__all__ = [
    "Batch",
    "Failure",
    "Header",
    "ImageError",
    "ImageFile",
    "Loader",
    "MAX_PIXELS",
    "Resize",
    "as_pixels",
    "decode",
    "find_images",
    "load_batches",
    "printable",
    "read_header",
]
