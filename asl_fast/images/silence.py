"""Pillow's remarks about odd files must reach neither the user's stderr nor, under -W error, the result.

What is wrong with a file is told by ImageError; a warning beside it would be noise, and turned into an
exception it would change which files decode.
"""

from __future__ import annotations

import contextlib
import ctypes
import logging
import threading
import warnings
from collections.abc import Iterator

from PIL import Image

# A library's logger without a handler prints to stderr; this is the documented way to stop that. Handlers
# that the user sets up still see every record.
logging.getLogger("PIL").addHandler(logging.NullHandler())

# libtiff writes its complaints straight to file descriptor 2, past Python; Pillow has no
# switch for it. A Pillow that holds libtiff inside itself hides the symbol; such a build keeps complaining.
with contextlib.suppress(AttributeError, OSError):
    ctypes.CDLL(Image.core.__file__).TIFFSetErrorHandler(None)

_lock = threading.Lock()
_depth = 0
_entries: list[tuple] = []


@contextlib.contextmanager
def pillow_quiet() -> Iterator[None]:
    """Ignore warnings raised inside Pillow while any thread is in here; other warnings are as before.

    warnings.catch_warnings would put back the process's whole filter list, and two threads leaving it in
    the wrong order leave the wrong list behind. This adds one entry and takes that one entry away.
    """
    global _depth
    with _lock:
        _depth += 1
        if _depth == 1 or not _entries or _entries[0] not in warnings.filters:
            warnings.filterwarnings("ignore", module=r"PIL\.")
            _entries[:] = [warnings.filters[0]]
    try:
        yield
    finally:
        with _lock:
            _depth -= 1
            # Someone's catch_warnings may have put a list back that never held the entry.
            if _depth == 0:
                with contextlib.suppress(ValueError):
                    warnings.filters.remove(_entries[0])  # type: ignore[attr-defined]
