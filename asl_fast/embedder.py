"""Images and models joined: pictures in, raw rows out, in memory or into a file that a killed run resumes.

model = load_model("default")
row_ND = model.embed([picture, "photo.jpg", array])
"""

from __future__ import annotations

import copy
import hashlib
import os
import sys
import time
from collections.abc import Iterable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing, contextmanager
from dataclasses import dataclass
from itertools import islice
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from tqdm import tqdm

from asl_fast.cores import num_cores
from asl_fast.embeddings import PartialRows, check_out, read_failures, write_embeddings, write_failures
from asl_fast.errors import InputError
from asl_fast.images import (
    VIEW_SETS,
    WHOLE,
    Failure,
    Framing,
    ImageFile,
    Loader,
    Pixels,
    Resize,
    find_images,
    load_batches,
    upright_pixels,
)
from asl_fast.models import (
    DescriptorConfig,
    Loaded,
    check_device,
    fuse_norms,
    has_unit_rows,
    joined_scales,
    load_descriptor,
)
from asl_fast.records import VIEW_MARK, Embeddings

_CPU_STEP = 4  # pictures at once: larger feature maps are fresh memory every time, and slower
NO_ROW = "the model gives this picture no usable row (NaN, infinite or all zeros)"


class NothingEmbedded(InputError):
    """Every picture failed."""

    def __init__(self, text: str, failures: list[Failure]) -> None:
        super().__init__(text)
        self.failures = failures


@dataclass(frozen=True, kw_only=True)
class Embedded:
    """What `embed_source` did. num_pictures: with rows.  num_resumed: done by an earlier, killed run."""

    num_pictures: int
    embeddings: Embeddings
    failures: list[Failure]
    failures_path: Path | None
    num_resumed: int
    seconds: float


def load_model(
    name_or_path: str | os.PathLike[str] = "default",
    *,
    device: str = "cpu",
    loader: Loader = load_batches,
    edges_px: Sequence[int] = (),
    resize_mode: str | None = None,
    views: str = "whole",
) -> Embedder:
    """The descriptor of a name ("default", timm:NAME, hf-hub:OWNER/NAME), a model folder or an SSCD file.

    edges_px, resize_mode: in place of the model's own; several edges give one row, joined (models/scales.py).
    views: a set of images/framing.py; each view of a picture gives a row of its own.
    InputError, one line, if there is none, or the device isn't there. Says on stderr if its rows are
    normalised, for then their norms tell nothing.
    """
    loaded = load_descriptor(name_or_path, "cpu")
    check_device(device)
    name = os.fspath(name_or_path)
    if has_unit_rows(loaded.module, loaded.config.edge_px):
        print(
            f"asl-fast: {name} normalises its rows: every norm is 1, so the ratio says nothing; "
            "give norms of another model with --norms",
            file=sys.stderr,
        )
    try:
        resizes = tuple(
            Resize(edge_px=edge_px, mode=resize_mode or loaded.config.resize_mode)
            for edge_px in edges_px or [loaded.config.edge_px]
        )
        framing = Framing(resizes=resizes, views=VIEW_SETS[views])
    except KeyError:
        raise InputError(f"views must be one of {', '.join(VIEW_SETS)}, got {views!r}") from None
    except ValueError as error:
        raise InputError(str(error)) from None
    return Embedder(loaded, name=name, device=device, loader=loader, framing=framing)


class Embedder:
    """A descriptor ready to run. The module is copied (and its batch norms fused): training may go on.

    framing: what the model sees of a picture; without it the whole, at the model's own size.
    loader: decodes and resizes files; kept batches of another one are not gone on with.
    """

    def __init__(
        self,
        loaded: Loaded,
        *,
        name: str = "model",
        device: str = "cpu",
        loader: Loader = load_batches,
        framing: Framing | None = None,
    ) -> None:
        self.config: DescriptorConfig = loaded.config
        self.thresholds = loaded.thresholds
        self.name = name
        self.device = device
        self._load = loader
        own = Resize(edge_px=self.config.edge_px, mode=self.config.resize_mode)
        self.framing = framing or Framing(resizes=(own,))
        resizes = self.framing.resizes
        # Norms at other sizes are others: such rows must not be searched among these.
        self.fingerprint = loaded.fingerprint if resizes == (own,) else _digest(loaded.fingerprint, resizes)
        generator = torch.Generator().manual_seed(0)
        shape = (2, 3, self.config.edge_px, self.config.edge_px)
        example = torch.randint(0, 256, shape, generator=generator, dtype=torch.uint8)
        module = copy.deepcopy(loaded.module).to("cpu").eval()
        self._module = fuse_norms(module, example).to(device, memory_format=torch.channels_last)  # type: ignore[call-overload]
        with torch.inference_mode():
            self.num_dims = int(self._module(example.to(device)).shape[1])
        if resizes != (own,):
            self._check_sizes()

    def _check_sizes(self) -> None:
        """InputError if the network takes pictures of one size only (as many transformers do)."""
        for resize in self.framing.resizes:
            height, width = resize.size_of(3, 4)
            try:
                with torch.inference_mode():
                    self._module(torch.zeros((1, 3, height, width), dtype=torch.uint8, device=self.device))
            except (RuntimeError, AssertionError, ValueError) as error:
                reason = " ".join(str(error).split())[:120]
                raise InputError(
                    f"model {self.name} can't take pictures of {width} x {height} px ({reason}); "
                    f"leave --edge {self.config.edge_px} and --resize {self.config.resize_mode} as they are"
                ) from None

    def embed(self, images: Iterable[Any], *, batch_size: int = 32) -> NDArray[np.float32]:
        """Raw rows (N, D) of PIL images, numpy HWC, torch CHW, paths or bytes; with V views (N x V, D), the
        views of a picture one after the other.

        ValueError, naming the picture's place in the list, for one that can't be read.
        """
        if isinstance(images, str | bytes | os.PathLike) or not isinstance(images, Iterable):
            raise ValueError("embed: images must be a list of pictures, got one; write embed([picture])")
        rows = [np.empty((0, self.num_dims), np.float32)]
        pictures = enumerate(images)
        with _threads(num_cores()) as pool:
            while batch := list(islice(pictures, batch_size)):
                frames = [self._frames(place, image) for place, image in batch]
                rows.append(self._rows(frames, pool).reshape(-1, self.num_dims))
        return np.concatenate(rows)

    def embed_files(
        self,
        files: Sequence[ImageFile],
        out: str | os.PathLike[str] | None = None,
        *,
        batch_size: int = 32,
        num_threads: int | None = None,
        progress: bool = False,
        name: str = "images",
    ) -> tuple[Embeddings, list[Failure]]:
        """Rows of every file that can be decoded, and the failures; into `out` as well, if it is given.

        With `out`, finished batches are kept in OUT.partial/, and a run of the same files, model and batch
        size goes on where one was killed; the result is the same to the byte. NothingEmbedded if all failed.
        """
        embeddings, failures, _ = self._embed_files(files, out, batch_size, num_threads, progress, name)
        return embeddings, failures

    def _embed_files(
        self,
        files: Sequence[ImageFile],
        out: str | os.PathLike[str] | None,
        batch_size: int,
        num_threads: int | None,
        progress: bool,
        name: str,
    ) -> tuple[Embeddings, list[Failure], int]:
        """As `embed_files`; also the number of files that an earlier run had done."""
        if out is None:
            rows, failures = self._embed_in_memory(files, batch_size, num_threads, progress)
            return self._embeddings(files, rows, failures, name), failures, 0
        with PartialRows(out, self._plan(files, batch_size), self.num_dims) as partial:
            if partial.started_anew:
                print(
                    f"asl-fast: {partial.folder} held work on other files or settings; starting anew",
                    file=sys.stderr,
                )
            failures = [
                Failure(id=identity, path=path, reason=reason) for identity, path, reason in partial.failures
            ]
            start = min(len(files), partial.num_batches * batch_size)
            for row_BD, failed in self._batches(files, batch_size, num_threads, progress, start):
                partial.append(row_BD, [(failure.id, failure.path, failure.reason) for failure in failed])
                failures += failed
            try:
                embeddings = self._embeddings(files, partial.rows(), failures, name)
            except NothingEmbedded:
                partial.finish()
                raise
            edges = [str(resize.edge_px) for resize in self.framing.resizes]
            made_by: dict[str, str | int] = {
                "model": self.name,
                "edge_px": int(edges[0]) if len(edges) == 1 else ",".join(edges),
                "resize_mode": self.framing.resizes[0].mode,
            }
            hidden = partial.folder / "finished" / Path(out).name
            for file in write_embeddings(hidden, embeddings, made_by=made_by):
                os.replace(file, Path(out).parent / file.name)
            partial.finish()
        return embeddings, failures, start

    def _embed_in_memory(
        self, files: Sequence[ImageFile], batch_size: int, num_threads: int | None, progress: bool
    ) -> tuple[NDArray[np.float32], list[Failure]]:
        rows, failures = [np.empty((0, self.num_dims), np.float32)], []
        for row_BD, failed in self._batches(files, batch_size, num_threads, progress, 0):
            rows.append(row_BD)
            failures += failed
        return np.concatenate(rows), failures

    def _batches(
        self, files: Sequence[ImageFile], batch_size: int, num_threads: int | None, progress: bool, start: int
    ) -> Iterator[tuple[NDArray[np.float32], list[Failure]]]:
        """Good rows and failures of each batch from files[start] on. A picture has all its rows or none."""
        threads = num_threads or num_cores()
        batches = self._load(files, self.framing, batch_size=batch_size, num_threads=threads, start=start)
        bar = tqdm(
            total=len(files), initial=start, unit="image", desc="embed", file=sys.stderr, disable=not progress
        )
        with closing(batches), bar, _threads(threads) as pool:  # type: ignore[type-var]
            for batch in batches:
                failures = list(batch.failures)
                row_BVD = self._rows(batch.frames_B, pool)
                good_BV = np.isfinite(row_BVD).all(axis=2) & row_BVD.any(axis=2)
                good_B = np.all(good_BV, axis=1)
                for place in np.flatnonzero(~good_B):
                    file = batch.file_B[place]
                    failures.append(Failure(id=file.id, path=file.shown_path, reason=NO_ROW))
                yield row_BVD[good_B].reshape(-1, self.num_dims), failures
                bar.update(len(batch.file_B) + len(batch.failures))

    def _rows(
        self, frames_B: Sequence[Sequence[Pixels | torch.Tensor]], pool: ThreadPoolExecutor
    ) -> NDArray[np.float32]:
        """Rows (B, V, D) of the views of a batch of pictures. On a CPU a few frames a thread, so their number
        never shows in the rows; frames of one size together.
        """
        frames = [frame for frames in frames_B for frame in frames]
        step = _CPU_STEP if self.device == "cpu" else max(1, len(frames_B))
        steps = _steps([tuple(frame.shape) for frame in frames], step)
        few = [[frames[place] for place in places] for places in steps]
        row_FD = np.empty((len(frames), self.num_dims), np.float32)
        for places, row_ND in zip(steps, pool.map(self._few_rows, few), strict=True):
            row_FD[places] = row_ND
        num_scales, num_views = len(self.framing.resizes), len(self.framing.views)
        joined_ND = joined_scales(row_FD.reshape(-1, num_scales, self.num_dims))
        return joined_ND.reshape(len(frames_B), num_views, self.num_dims)

    @torch.inference_mode()
    def _few_rows(self, frames: list[Pixels | torch.Tensor]) -> NDArray[np.float32]:
        on_device = [frame for frame in frames if isinstance(frame, torch.Tensor)]
        pixels_BHWC = torch.stack(on_device) if on_device else torch.from_numpy(np.stack(frames))
        pixels = pixels_BHWC.to(self.device).permute(0, 3, 1, 2)  # lies channels_last
        row_BD: NDArray[np.float32] = self._module(pixels).float().cpu().numpy()
        return row_BD

    def _frames(self, place: int, image: Any) -> list[NDArray[np.uint8]]:
        try:
            return self.framing(upright_pixels(image, self.framing.edge_px_hint))
        except (ValueError, OSError) as error:
            raise ValueError(f"embed: image {place} of the list: {error}") from error

    def _embeddings(
        self, files: Sequence[ImageFile], row_ND: NDArray[np.float32], failures: list[Failure], name: str
    ) -> Embeddings:
        failed = {failure.id for failure in failures}
        good = [file for file in files if file.id not in failed]
        if not good:
            why = f"; the first: {failures[0].id}: {failures[0].reason}" if failures else ""
            raise NothingEmbedded(f"{name}: none of {len(files)} images could be embedded{why}", failures)
        views = self.framing.views
        ends = [""] if views == (WHOLE,) else [f"{VIEW_MARK}{view.name}" for view in views]
        return Embeddings(
            ids=[f"{file.id}{end}" for file in good for end in ends],
            row_ND=row_ND,
            path_N=[file.path if file.member is None else file.shown_path for file in good for _ in ends],
            fingerprint=self.fingerprint,
            name=name,
        )

    def _plan(self, files: Sequence[ImageFile], batch_size: int) -> dict[str, Any]:
        """What must be equal for finished batches to be of use."""
        digest = hashlib.sha256()
        for file in files:
            try:
                status = os.stat(file.path)
                seen = (status.st_size, status.st_mtime_ns)
            except (OSError, ValueError):  # reading it will fail too, and be a row of failures.csv
                seen = (-1, -1)
            place = os.path.abspath(file.path)
            digest.update(f"{(file.id, place, file.member, file.offset, *seen)!r}\n".encode())
        return {
            "version": 1,
            "num_files": len(files),
            "files_sha256": digest.hexdigest(),
            "fingerprint": self.fingerprint,
            "sizes": [[resize.edge_px, resize.mode] for resize in self.framing.resizes],
            "views": [[view.name, *view.box, view.turn_deg] for view in self.framing.views],
            "device": self.device,
            "loader": getattr(self._load, "__name__", type(self._load).__name__),
            "batch_size": batch_size,
            "num_dims": self.num_dims,
        }


def embed_source(
    source: str | os.PathLike[str],
    model: Embedder,
    *,
    out: str | os.PathLike[str] | None = None,
    ids: str = "stem",
    batch_size: int = 32,
    num_threads: int | None = None,
    failures_path: str | os.PathLike[str] | None = None,
    argument: str = "--images",
    progress: bool = True,
) -> Embedded:
    """Embed a folder, list, table or shards, and list the failures: what `embed` does, for `search` too.

    out: file of embeddings, or None to keep the rows in memory. failures_path: None for failures.csv beside
    `out`, and no file where `out` is None too. In it, the rows of this output (or source) are replaced.
    InputError before any work if `out` can't be written; NothingEmbedded, after the CSV, if all failed.
    """
    if out is not None:
        check_out(out)
    if failures_path is None and out is not None:
        failures_path = Path(out).parent / "failures.csv"
    if failures_path is not None:
        read_failures(failures_path)
    files = find_images(source, ids=ids, argument=argument)
    kept = Path(failures_path) if failures_path is not None else None
    output = source if out is None else out
    started = time.perf_counter()
    try:
        embeddings, failures, num_resumed = model._embed_files(
            files, out, batch_size, num_threads, progress, os.fspath(source)
        )
    except NothingEmbedded as nothing:
        if kept is not None:
            write_failures(kept, output, nothing.failures)
        raise
    if kept is not None:
        write_failures(kept, output, failures)
    return Embedded(
        num_pictures=len(embeddings) // len(model.framing.views),
        embeddings=embeddings,
        failures=failures,
        failures_path=kept,
        num_resumed=num_resumed,
        seconds=time.perf_counter() - started,
    )


@contextmanager
def _threads(number: int) -> Iterator[ThreadPoolExecutor]:
    """Threads in each of which torch computes alone: barriers inside layers stall on a busy machine."""
    before = torch.get_num_threads()
    pool = ThreadPoolExecutor(number, "asl_fast-rows", initializer=torch.set_num_threads, initargs=(1,))
    try:
        yield pool
    finally:
        pool.shutdown(cancel_futures=True)
        torch.set_num_threads(before)


def _steps(shapes: Sequence[tuple[int, ...]], most: int) -> list[list[int]]:
    """Places of frames that go through the network together: of one shape, at most so many."""
    places: dict[tuple[int, ...], list[int]] = {}
    for place, shape in enumerate(shapes):
        places.setdefault(shape, []).append(place)
    return [alike[start : start + most] for alike in places.values() for start in range(0, len(alike), most)]


def _digest(fingerprint: str, resizes: tuple[Resize, ...]) -> str:
    sizes = [(resize.edge_px, resize.mode) for resize in resizes]
    return hashlib.sha256(f"{fingerprint} {sizes}".encode()).hexdigest()
