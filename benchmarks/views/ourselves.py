"""What is measured of ours alone: tracing's share of a chain's time, and memory while views are made."""

from __future__ import annotations

import itertools
import time
from collections.abc import Callable
from multiprocessing.connection import Connection

from asl_fast.edits import Chain, Pixels, render, trace
from asl_fast.views import ViewOrder, stream
from benchmarks.process import EngineProcess, serve, status_bytes
from benchmarks.views.editing import peer_on_one_core
from benchmarks.views.loading import Job, children, our_executor

PATIENCE_SECONDS = 600


class Tracer(EngineProcess):
    """Chain i on picture i, on one core."""

    def __init__(self, chains: tuple[Chain, ...], pictures: list[Pixels], pool: list[Pixels]) -> None:
        super().__init__(_serve_tracing, (chains, pictures, pool), patience_s=PATIENCE_SECONDS)

    def seconds(self, what: str) -> float:
        """CPU time a view. what: "draw" (lowered and drawn), "trace", or "content" (traced, its content)."""
        return float(self.ask(what))


def _serve_tracing(
    connection: Connection, chains: tuple[Chain, ...], pictures: list[Pixels], pool: list[Pixels]
) -> None:
    peer_on_one_core("ours")
    sizes = [(pixels.shape[1], pixels.shape[0]) for pixels in pictures]
    lowered = [chain.steps(size) for chain, size in zip(chains, sizes, strict=True)]

    def draw(number: int) -> None:
        render(chains[number].steps(sizes[number]), pictures[number], pool)

    def traced(number: int) -> None:
        trace(lowered[number], sizes[number])

    def content(number: int) -> None:
        _ = trace(lowered[number], sizes[number]).content

    ways: dict[str, Callable[[int], None]] = {"draw": draw, "trace": traced, "content": content}

    def seconds(what: str) -> float:
        way = ways[what]
        start = time.process_time()
        for number in range(len(chains)):
            way(number)
        return (time.process_time() - start) / len(chains)

    for way in ways:
        seconds(way)
    serve(connection, lambda: (None, seconds))


class LongRun(EngineProcess):
    """Makes views of a job's photos and chains, round and round, and says how much memory it holds."""

    def __init__(self, job: Job) -> None:
        super().__init__(_serve_memory, (job,), patience_s=PATIENCE_SECONDS, with_children=True)

    def bytes_after(self, num_views: int) -> int:
        """Resident memory of the process and its workers once so many views have been made in all."""
        return int(self.ask(num_views))


def _serve_memory(connection: Connection, job: Job) -> None:
    def get_ready() -> tuple[None, Callable[[int], int]]:
        executor = our_executor(job)
        photo_chains = [
            ViewOrder(photo, chain) for photo in range(len(job.paths)) for chain in job.chains_of(photo)
        ]
        orders = itertools.cycle(photo_chains)
        made = 0

        def after(num_views: int) -> int:
            nonlocal made
            rest = -(-(num_views - made) // job.batch)
            for batch in stream(executor, (list(itertools.islice(orders, job.batch)) for _ in range(rest))):
                made += len(batch.pixels_BHWC)
            return status_bytes("VmRSS") + sum(status_bytes("VmRSS", child) for child in children())

        return None, after

    serve(connection, get_ready)
