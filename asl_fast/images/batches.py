"""Files -> batches of frames in order, read ahead by threads."""

from __future__ import annotations

from collections import deque
from collections.abc import Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass
from typing import TYPE_CHECKING, Protocol

from asl_fast.images.decode import ImageError, decode
from asl_fast.images.find import ImageFile
from asl_fast.images.framing import Framing, Pixels

if TYPE_CHECKING:
    from torch import Tensor


@dataclass(frozen=True, kw_only=True)
class Failure:
    """One row of failures.csv. All three are safe to write as UTF-8 text on one line."""

    id: str
    path: str
    reason: str


@dataclass(frozen=True, kw_only=True)
class Batch:
    """Frames of the files first .. first + batch_size - 1, less those that failed.

    file_B: the files that were decoded, in order.  frames_B: for each of them what `Framing` makes: uint8
    (height, width, 3); tensors where a loader made them on a device.  failures: the others. A batch may hold
    failures only: then B is 0.
    """

    first: int
    file_B: list[ImageFile]
    frames_B: Sequence[Sequence[Pixels | Tensor]]
    failures: list[Failure]

    def __post_init__(self) -> None:
        if len(self.file_B) != len(self.frames_B):
            raise ValueError(f"batch: has {len(self.file_B)} files but {len(self.frames_B)} pictures")


class Loader(Protocol):
    """`load_batches`, or what does the same another way."""

    def __call__(
        self,
        files: Sequence[ImageFile],
        framing: Framing,
        /,
        *,
        batch_size: int,
        num_threads: int,
        start: int = 0,
    ) -> Iterator[Batch]: ...


def load_batches(
    files: Sequence[ImageFile], framing: Framing, *, batch_size: int, num_threads: int, start: int = 0
) -> Iterator[Batch]:
    """Batches in the order of `files`; batch i always covers files[i * batch_size : (i + 1) * batch_size].

    start: number of files already done, a multiple of batch_size (or all of them).
    A file that can't be read or decoded becomes a Failure; any other exception ends the run. Memory is
    bounded by one batch and the pictures read ahead (another batch), however many files there are. Closing
    the generator stops the threads.
    """
    if batch_size < 1 or num_threads < 1:
        raise ValueError(
            f"load_batches: batch_size and num_threads must be 1 or more, got {batch_size} and {num_threads}"
        )
    if not 0 <= start <= len(files) or (start % batch_size and start != len(files)):
        raise ValueError(
            f"load_batches: start must be a multiple of batch_size {batch_size} and at most {len(files)}, "
            f"got {start}"
        )
    return _batches(files, framing, batch_size, num_threads, start)


def _batches(
    files: Sequence[ImageFile], framing: Framing, batch_size: int, num_threads: int, start: int
) -> Iterator[Batch]:
    pool = ThreadPoolExecutor(num_threads, thread_name_prefix="asl_fast-images")
    pending: deque[Future[list[Pixels] | Failure]] = deque()
    submitted = start
    try:
        for first in range(start, len(files), batch_size):
            batch_files = files[first : first + batch_size]
            ahead = min(len(files), first + len(batch_files) + batch_size)
            while submitted < ahead:
                pending.append(pool.submit(_load, files[submitted], framing))
                submitted += 1
            yield _gathered(first, batch_files, pending)
    finally:
        pool.shutdown(wait=True, cancel_futures=True)


def _gathered(
    first: int,
    batch_files: Sequence[ImageFile],
    pending: deque[Future[list[Pixels] | Failure]],
) -> Batch:
    frames_B: list[list[Pixels]] = []
    decoded: list[ImageFile] = []
    failures: list[Failure] = []
    for file in batch_files:
        loaded = pending.popleft().result()
        if isinstance(loaded, Failure):
            failures.append(loaded)
        else:
            frames_B.append(loaded)
            decoded.append(file)
    return Batch(first=first, file_B=decoded, frames_B=frames_B, failures=failures)


def _load(file: ImageFile, framing: Framing) -> list[Pixels] | Failure:
    try:
        data = file.read()
    except OSError as error:
        return Failure(id=file.id, path=file.shown_path, reason=f"can't be read: {error.strerror or error}")
    try:
        return framing(decode(data, edge_px_hint=framing.edge_px_hint))
    except ImageError as error:
        return Failure(id=file.id, path=file.shown_path, reason=str(error))
