"""An engine in a process of its own: its memory is its own, and its end ends nothing else."""

from __future__ import annotations

import contextlib
import multiprocessing
import os
from collections.abc import Callable, Mapping
from multiprocessing.connection import Connection
from typing import Any


class PeerError(Exception):
    """The engine could not do it; the text says why, in one line."""


class EngineProcess:
    """Runs target(connection, *arguments), which answers each message with (True, value) or (False, why).

    Its first message, unasked, says that it is ready; `ready` keeps the value. environment: variables that it
    is started with. with_children: it may start processes itself. PeerError if it can't get ready, or doesn't
    answer in patience_s.
    """

    def __init__(
        self,
        target: Callable[..., None],
        arguments: tuple[Any, ...],
        *,
        patience_s: float,
        environment: Mapping[str, str] | None = None,
        with_children: bool = False,
    ) -> None:
        self._patience_s = patience_s
        context = multiprocessing.get_context("spawn")
        self._connection, other = context.Pipe()
        self._process = context.Process(target=target, args=(other, *arguments), daemon=not with_children)
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


def serve(connection: Connection, get_ready: Callable[[], tuple[Any, Callable[[Any], Any]]]) -> None:
    """The other side: get_ready() returns what to say first, and what turns a message into its answer.

    Answers until nobody asks; what fails is told, and the next message awaited.
    """
    try:
        first, answer = get_ready()
        connection.send((True, first))
    except Exception as error:
        connection.send((False, _line(error)))
        return
    with contextlib.suppress(EOFError):
        while True:
            asked = connection.recv()
            try:
                reply = (True, answer(asked))
            except Exception as error:
                reply = (False, _line(error))
            connection.send(reply)


def status_bytes(field: str, process: int | str = "self") -> int:
    """VmRSS, VmHWM, ... of a process."""
    with open(f"/proc/{process}/status") as status:
        line = next(line for line in status if line.startswith(f"{field}:"))
    return int(line.split()[1]) * 1024


def _line(error: Exception) -> str:
    return f"{type(error).__name__}: {' '.join(str(error).split())}"
