"""What goes wrong, and the exit status it ends with.

Stages and kernels raise ValueError for a caller's mistake; commands turn what a user can mend into
one line on stderr: `asl-fast VERB: who, what, the rule, the value, the way out`.
"""

from __future__ import annotations

import argparse
import sys
from collections.abc import Callable

DONE, OUR_FAULT, USER_ERROR, PARTIAL = 0, 1, 2, 3
INTERRUPTED = 130  # what a shell reports for a program ended by Ctrl-C


class InputError(Exception):
    """Something the user gave can't be used. The text is one line and names the way out."""


def run_command(verb: str, run: Callable[[argparse.Namespace], int], args: argparse.Namespace) -> int:
    """Run a command; return its exit status (0 done, 2 the user can mend it, 3 partial).

    An unforeseen exception is our fault: it leaves as a traceback, and Python's exit status is 1.
    """
    try:
        return run(args)
    except (InputError, ValueError) as error:
        if isinstance(error, ValueError) and not _meant_for_users(error):
            raise
        complaint = str(error)
    except OSError as error:
        if error.errno is None:
            raise
        where = f" {error.filename}" if error.filename else ""
        complaint = f"{error.strerror}{where}; nothing was left half-written, mend it and run again"
    except KeyboardInterrupt:
        print(f"asl-fast {verb}: interrupted", file=sys.stderr)
        return INTERRUPTED
    one_line = " ".join(complaint.split())
    print(f"asl-fast {verb}: error: {one_line}", file=sys.stderr)
    return USER_ERROR


def _meant_for_users(error: ValueError) -> bool:
    """True for a ValueError raised on purpose by asl_fast, not by a library somewhere below."""
    traceback = error.__traceback__
    while traceback is not None and traceback.tb_next is not None:
        traceback = traceback.tb_next
    return traceback is not None and traceback.tb_frame.f_globals.get("__name__", "").startswith("asl_fast")
