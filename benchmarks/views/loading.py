"""Files to batches on one core or several: an engine in a process of its own, with its workers."""

from __future__ import annotations

import os
import time
from abc import ABC, abstractmethod
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass, replace
from importlib.util import find_spec
from multiprocessing.connection import Connection
from pathlib import Path
from typing import Any, NamedTuple

import cv2
import numpy as np
import torch
from torch.utils.data import DataLoader, Dataset

from asl_fast.edits import Chain, Fit, Pixels
from asl_fast.images import Framing, ImageFile, Resize, load_batches, read_header
from asl_fast.views import CpuExecutor, FilePhotos, ViewExecutor, ViewOrder, stream
from benchmarks.process import EngineProcess, serve
from benchmarks.views.cases import EDGE_PX
from benchmarks.views.peers import ENVIRONMENT, PEERS, Native, Peer, peer_named

PATIENCE_SECONDS = 300
CACHE_BYTES = 16 << 20  # of decoded photos: less than a pass, or photos would be decoded once for all passes
_CHECKED = 8  # rows of the first batch


@dataclass(frozen=True)
class Job:
    """chains: as many for each photo, photo after photo; without any, each photo is fitted into a square."""

    paths: tuple[Path, ...]
    cores: int
    chains: tuple[Chain, ...] = ()
    batch: int = 64  # views

    @property
    def each(self) -> int:
        """Views of a photo."""
        return max(1, len(self.chains) // len(self.paths))

    @property
    def num_made(self) -> int:
        return len(self.paths) * self.each

    def chains_of(self, photo: int) -> tuple[Chain, ...]:
        return self.chains[photo * self.each : (photo + 1) * self.each] or (Chain((Fit(edge_px=EDGE_PX),)),)


class Pass(NamedTuple):
    """Seconds on the clock, and of the CPU in all processes."""

    wall_s: float
    cpu_s: float


class Loader(EngineProcess):
    """PeerError if the engine isn't installed."""

    def __init__(self, engine: str) -> None:
        super().__init__(
            _serve, (engine,), patience_s=PATIENCE_SECONDS, environment=ENVIRONMENT, with_children=True
        )

    def take(self, key: str, job: Job) -> tuple[Chain, ...]:
        """Start what is needed, go through all files once. Returns what we do where the engine does this."""
        chains: tuple[Chain, ...] = self.ask(("take", key, job))
        return chains

    def seconds(self, key: str) -> Pass:
        """One pass over all files."""
        return Pass(*self.ask(("seconds", key)))

    def answer(self, key: str) -> list[Pixels]:
        """The first pictures of the first batch."""
        return list(self.ask(("answer", key)))


def _serve(connection: Connection, engine: str) -> None:
    serve(connection, lambda: (None, _Desk(engine).answer))


class _Desk:
    """What the process has at hand. ImportError if the engine isn't installed."""

    def __init__(self, engine: str) -> None:
        self._engine = engine
        self._cores = sorted(os.sched_getaffinity(0))
        self._lines: dict[str, tuple[Job, Line]] = {}
        if engine in PEERS:
            peer_named(engine)
        elif engine in _DALI_DEVICES and find_spec("nvidia.dali") is None:
            raise ImportError("nvidia-dali-cuda130 is not installed (extra: dali)")

    def answer(self, message: tuple[Any, ...]) -> Any:
        ways: dict[str, Callable[..., Any]] = {
            "take": self._take,
            "seconds": self._seconds,
            "answer": self._answer,
        }
        return ways[message[0]](*message[1:])

    def _take(self, key: str, job: Job) -> tuple[Chain, ...]:
        os.sched_setaffinity(0, self._cores[-job.cores :])
        torch.set_num_threads(job.cores)
        line = _line(self._engine, job)
        self._lines[key] = (job, line)
        self._seconds(key)
        return line.counterparts

    def _seconds(self, key: str) -> Pass:
        job, line = self._lines[key]
        os.sched_setaffinity(0, self._cores[-job.cores :])
        cpu_s, wall_s = tree_cpu_seconds(), time.perf_counter()
        made = sum(len(batch) for batch in line.batches())
        if self._engine.endswith("gpu"):
            torch.cuda.synchronize()
        taken = Pass(time.perf_counter() - wall_s, tree_cpu_seconds() - cpu_s)
        if made != job.num_made:
            raise ValueError(f"{made} views were made of {job.num_made}")
        return taken

    def _answer(self, key: str) -> list[Pixels]:
        batches = self._lines[key][1].batches()
        first = next(iter(batches))
        for _ in batches:
            pass  # to the end, or workers would go on with this pass in the next
        return [self._lines[key][1].pixels(row) for row in first[:_CHECKED]]


def our_executor(job: Job, engine: str = "ours") -> ViewExecutor:
    """engine: "ours", or "ours_dali" and "ours_dali_gpu" for DALI's on a CPU or GPU."""
    source = FilePhotos(_files(job))
    if engine in _DALI_DEVICES:
        from asl_fast.views.dali import DaliExecutor

        return DaliExecutor(source, device=_DALI_DEVICES[engine], num_threads=job.cores)
    return CpuExecutor(source, num_workers=job.cores, cache_bytes=CACHE_BYTES)


class Line(ABC):
    """From files to batches."""

    def __init__(self, job: Job) -> None:
        self.job = job

    @property
    def counterparts(self) -> tuple[Chain, ...]:
        return self.job.chains

    @abstractmethod
    def batches(self) -> Iterable[Any]:
        """One pass over all files."""

    def pixels(self, row: Any) -> Pixels:
        return row.cpu().numpy() if isinstance(row, torch.Tensor) else np.asarray(row)


_DALI_DEVICES = {"dali": "cpu", "dali_gpu": "cuda", "ours_dali": "cpu", "ours_dali_gpu": "cuda"}


def _line(engine: str, job: Job) -> Line:
    if engine.startswith("ours"):
        return OursViews(job, engine) if job.chains else OursResized(job)
    return Dali(job, engine) if engine in _DALI_DEVICES else DataLoaded(job, peer_named(engine))


class OursResized(Line):
    def batches(self) -> Iterable[Any]:
        framing = Framing(resizes=(Resize(edge_px=EDGE_PX),))
        job = self.job
        loaded = load_batches(_files(job), framing, batch_size=job.batch, num_threads=job.cores)
        return (np.stack([frame for (frame,) in batch.frames_B]) for batch in loaded)


class OursViews(Line):
    """Traced, too. Workers are started once, as a data loader's."""

    def __init__(self, job: Job, engine: str) -> None:
        super().__init__(job)
        self._executor = our_executor(job, engine)
        self._orders = [
            ViewOrder(photo, chain) for photo in range(len(job.paths)) for chain in job.chains_of(photo)
        ]

    def batches(self) -> Iterable[Any]:
        step = self.job.batch
        batches = [self._orders[first : first + step] for first in range(0, len(self._orders), step)]
        return (made.pixels_BHWC for made in stream(self._executor, batches))


class DataLoaded(Line):
    """A peer's functions in PyTorch's DataLoader, a worker a core."""

    def __init__(self, job: Job, peer: Peer) -> None:
        super().__init__(job)
        self._peer = peer
        known = tuple(peer.known(chain) for chain in job.chains)
        photos = Photos(replace(job, chains=known), peer)
        self._loader = DataLoader(
            photos,
            batch_size=job.batch // job.each,
            num_workers=job.cores,
            persistent_workers=True,
            multiprocessing_context="fork",  # PyTorch's choice on Linux; spawned by spawn, it would do so too
            worker_init_fn=_one_thread,
        )

    @property
    def counterparts(self) -> tuple[Chain, ...]:
        photos = range(len(self.job.paths))
        sizes = [_size(path) for path in self.job.paths]
        return tuple(
            self._peer.counterpart(chain, sizes[photo])
            for photo in photos
            for chain in (self.job.chains_of(photo) if self.job.chains else ())
        )

    def batches(self) -> Iterator[Any]:
        return (rows.flatten(0, 1) for rows in self._loader)

    def pixels(self, row: Any) -> Pixels:
        values = row.numpy()
        if values.shape[0] == 3:
            values = values.transpose(1, 2, 0)
        return values if values.dtype == np.uint8 else (255 * values).round().clip(0, 255).astype(np.uint8)


class Photos(Dataset[Any]):
    """All views of a photo, decoded once for them."""

    def __init__(self, job: Job, peer: Peer) -> None:
        self._job, self._peer = job, peer
        peer.pool = _Pool(job.paths, peer)

    def __len__(self) -> int:
        return len(self._job.paths)

    def __getitem__(self, photo: int) -> torch.Tensor:
        peer = self._peer
        whole = peer.decode(self._job.paths[photo].read_bytes())
        rows = [peer.row(peer.apply(chain, whole)) for chain in self._job.chains_of(photo)]
        return torch.stack([torch.as_tensor(row) for row in rows])


class _Pool(Sequence[Native]):
    """The other photos, decoded when they are asked for."""

    def __init__(self, paths: Sequence[Path], peer: Peer) -> None:
        self._paths, self._peer = paths, peer

    def __len__(self) -> int:
        return len(self._paths)

    def __getitem__(self, place: Any) -> Native:
        return self._peer.decode(self._paths[place].read_bytes())


class Dali(Line):
    """DALI's own pipeline: decode and resize, both on its device."""

    def __init__(self, job: Job, engine: str) -> None:
        super().__init__(job)
        from nvidia.dali import fn, pipeline_def

        device = _DALI_DEVICES[engine]
        files = [str(path) for path in job.paths]

        @pipeline_def(batch_size=job.batch, num_threads=job.cores, device_id=None if device == "cpu" else 0)
        def pipeline() -> Any:
            packed, _ = fn.readers.file(files=files, name="files")
            whole = fn.decoders.image(packed, device="cpu" if device == "cpu" else "mixed")
            return fn.resize(whole, size=(EDGE_PX, EDGE_PX))

        self._pipeline = pipeline()
        self._pipeline.build()

    def batches(self) -> Iterator[Any]:
        """Its reader goes round and round: whole batches, the last one cut."""
        left = self.job.num_made
        while left > 0:
            (rows,) = self._pipeline.run()
            yield torch.from_dlpack(rows.as_tensor())[:left]
            left -= self.job.batch


def _files(job: Job) -> list[ImageFile]:
    return [ImageFile(id=path.stem, path=str(path)) for path in job.paths]


def _size(path: Path) -> tuple[int, int]:
    return read_header(path.read_bytes()).size


def tree_cpu_seconds() -> float:
    """CPU time of this process and of those it has started, and so on."""
    ticks = 0
    waiting = [os.getpid()]
    while waiting:
        process = waiting.pop()
        waiting += children(process)
        fields = Path(f"/proc/{process}/stat").read_text().rpartition(")")[2].split()
        ticks += int(fields[11]) + int(fields[12])
    return ticks / os.sysconf("SC_CLK_TCK")


def children(process: int | str = "self") -> list[int]:
    """Processes that a process has started."""
    lists = Path(f"/proc/{process}/task").glob("*/children")
    return [int(child) for listed in lists for child in listed.read_text().split()]


def _one_thread(worker: int) -> None:  # noqa: ARG001 - PyTorch passes its number
    torch.set_num_threads(1)
    cv2.setNumThreads(1)
