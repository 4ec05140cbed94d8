"""Edits of decoded pictures on one core, in CPU time: a peer in a process of its own."""

from __future__ import annotations

import os
import time
from collections.abc import Callable, Sequence
from multiprocessing.connection import Connection
from typing import Any

import cv2
import torch

from asl_fast.edits import Chain, Pixels
from benchmarks.process import EngineProcess, serve
from benchmarks.views.cases import Case
from benchmarks.views.peers import ENVIRONMENT, Peer, peer_named

PATIENCE_SECONDS = 120
_LEAST_SECONDS = 0.03  # of a round
_CHECKED = 4  # pictures

Pictures = dict[str, list[Pixels]]


class Editor(EngineProcess):
    """`pictures`: the decoded pictures of each kind of case. PeerError if the peer isn't installed."""

    def __init__(self, peer: str, pictures: Pictures, pool: list[Pixels]) -> None:
        given = (peer, pictures, pool)
        super().__init__(_serve, given, patience_s=PATIENCE_SECONDS, environment=ENVIRONMENT)

    def take(self, key: str, case: Case) -> list[Chain] | None:
        """Prepare a case. Returns what we do where the peer does this, None if it has none of its edits."""
        chains: list[Chain] | None = self.ask(("take", key, case))
        return chains

    def seconds(self, key: str) -> float:
        """CPU time a picture, in one round of all pictures or several."""
        return float(self.ask(("seconds", key)))

    def answer(self, key: str) -> list[Pixels]:
        """The first pictures after their chains."""
        return list(self.ask(("answer", key)))


def _serve(connection: Connection, name: str, pictures: Pictures, pool: list[Pixels]) -> None:
    serve(connection, lambda: (None, _Desk(peer_on_one_core(name), pictures, pool).answer))


def peer_on_one_core(name: str) -> Peer:
    os.sched_setaffinity(0, set(sorted(os.sched_getaffinity(0))[-1:]))
    peer = peer_named(name)
    torch.set_num_threads(1)
    cv2.setNumThreads(1)
    return peer


class _Desk:
    """What the process has at hand."""

    def __init__(self, peer: Peer, pictures: Pictures, pool: list[Pixels]) -> None:
        self._peer = peer
        peer.pool = [peer.native(pixels) for pixels in pool]
        self._native = {kind: [peer.native(pixels) for pixels in some] for kind, some in pictures.items()}
        self._batch = {kind: peer.one_batch(some) for kind, some in self._native.items() if peer.batches}
        self._work: dict[str, list[tuple[Chain, Any]]] = {}
        self._pictures: dict[str, int] = {}

    def answer(self, message: tuple[Any, ...]) -> Any:
        ways: dict[str, Callable[..., Any]] = {
            "take": self._take,
            "seconds": self._seconds,
            "answer": self._answer,
        }
        return ways[message[0]](*message[1:])

    def _take(self, key: str, case: Case) -> list[Chain] | None:
        native = self._native[case.pictures][: len(case.chains)]
        chains = [self._peer.known(chain) for chain in case.chains]
        if self._peer.edits and not any(chain.edits for chain in chains):
            return None
        if self._peer.batches and len(set(chains)) == 1:
            self._work[key] = [(chains[0], self._batch[case.pictures])]
        else:
            self._work[key] = list(zip(chains, native, strict=True))
        self._pictures[key] = len(case.chains)
        self._run(key)
        return [
            self._peer.counterpart(chain, self._peer.size(picture))
            for chain, picture in zip(case.chains, native, strict=True)
        ]

    def _run(self, key: str) -> None:
        for chain, picture in self._work[key]:
            self._peer.apply(chain, picture)

    def _seconds(self, key: str) -> float:
        start, rounds = time.process_time(), 0
        while (seconds := time.process_time() - start) < _LEAST_SECONDS:
            self._run(key)
            rounds += 1
        return seconds / rounds / self._pictures[key]

    def _answer(self, key: str) -> Sequence[Pixels]:
        edited = [self._peer.apply(chain, picture) for chain, picture in self._work[key][:_CHECKED]]
        if self._pictures[key] != len(self._work[key]):
            edited = list(self._peer.singles(edited[0]))[:_CHECKED]
        return [self._peer.pixels(picture) for picture in edited]
