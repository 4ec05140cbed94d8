"""Rows at rest: .npy, .npz, HDF5 and Parquet; finished or on their way.

formats.py   a file by its ending -> Embeddings, and back
rows.py      what every format shares
npy.py npz.py hdf5.py parquet.py
partial.py   the work folder of a run that can be killed and started again
failures.py  failures.csv
"""

from asl_fast.embeddings.failures import read_failures, write_failures
from asl_fast.embeddings.formats import (
    SUFFIXES,
    check_out,
    holds_embeddings,
    read_embeddings,
    write_embeddings,
)
from asl_fast.embeddings.hdf5 import write_pair
from asl_fast.embeddings.partial import PartialRows

__all__ = [
    "SUFFIXES",
    "PartialRows",
    "check_out",
    "holds_embeddings",
    "read_embeddings",
    "read_failures",
    "write_embeddings",
    "write_failures",
    "write_pair",
]
