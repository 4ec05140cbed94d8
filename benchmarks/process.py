"""An engine in a process of its own: its memory is its own, and its end ends nothing else."""

from __future__ import annotations

import multiprocessing
import os
from collections.abc import Callable, Mapping
from typing import Any


class PeerError(Exception):
    """The engine could not do it; the text says why, in one line."""


class EngineProcess:
    """Runs target(connection, *arguments), which answers each message with (True, value) or (False, why).

    Its first message, unasked, says that it is ready; `ready` keeps the value. environment: variables that it
    is started with. PeerError if it can't get ready, or doesn't answer in patience_s.
    """

    def __init__(
        self,
        target: Callable[..., None],
        arguments: tuple[Any, ...],
        *,
        patience_s: float,
        environment: Mapping[str, str] | None = None,
    ) -> None:
        self._patience_s = patience_s
        context = multiprocessing.get_context("spawn")
        self._connection, other = context.Pipe()
        self._process = context.Process(target=target, args=(other, *arguments), daemon=True)
        before = dict(os.environ)
        os.environ.update(environment or {})
        try:
            self._process.start()
        finally:
            os.environ.clear()
            os.environ.update(before)
        other.close()
        try:
            self.ready = self._reply()
        except PeerError:
            self.close()
            raise

    def ask(self, message: Any) -> Any:
        try:
            self._connection.send(message)
        except OSError:
            raise PeerError(self._death()) from None
        return self._reply()

    def close(self) -> None:
        self._connection.close()
        self._process.terminate()
        self._process.join()

    def _reply(self) -> Any:
        try:
            if not self._connection.poll(self._patience_s):
                self._process.kill()
                raise PeerError(f"no answer within {self._patience_s} s")
            good, value = self._connection.recv()
        except (EOFError, OSError):
            raise PeerError(self._death()) from None
        if not good:
            raise PeerError(value)
        return value

    def _death(self) -> str:
        self._process.join(5)
        return f"its process ended with status {self._process.exitcode}"
