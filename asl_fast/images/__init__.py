"""Image files in, RGB pixels out: find, decode, resize, batch. Nothing a file holds can end a run.

find.py    a folder, list, table, shard or single picture -> ImageFiles with distinct ids
decode.py  bytes -> upright RGB pixels, or ImageError with a short reason
resize.py  pixels of any size -> the size a model takes
framing.py which views of a picture, each at which sizes
batches.py many files -> batches of frames in order, read ahead by threads
"""

from asl_fast.images.batches import Batch, Failure, Loader, load_batches
from asl_fast.images.decode import MAX_PIXELS, ImageError, decode
from asl_fast.images.find import ImageFile, find_images, printable
from asl_fast.images.framing import VIEW_SETS, WHOLE, Framing, Pixels, View
from asl_fast.images.header import Header, decode_as_needed, read_header
from asl_fast.images.resize import MODES, Resize, as_pixels, upright_pixels

__all__ = [
    "Batch",
    "Failure",
    "Framing",
    "Header",
    "ImageError",
    "ImageFile",
    "Loader",
    "MAX_PIXELS",
    "MODES",
    "Pixels",
    "Resize",
    "VIEW_SETS",
    "View",
    "WHOLE",
    "as_pixels",
    "decode",
    "decode_as_needed",
    "find_images",
    "load_batches",
    "printable",
    "read_header",
    "upright_pixels",
]
