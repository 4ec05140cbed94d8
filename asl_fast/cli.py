"""`asl-fast VERB ...`: the same verbs as `python -m asl_fast.VERB ...` (edits: `asl_fast.edit_sheet`)."""

from __future__ import annotations

import sys
from importlib import import_module

from asl_fast.errors import DONE, USER_ERROR

VERBS = {
    "embed": "images -> embeddings (direction and norm of every picture)",
    "search": "queries + references -> matches.csv with verdicts, and a report to look at",
    "transform": "embeddings -> whitened, or without what they share with negatives; norms stay",
    "index": "a folder of references that can grow: build, add, remove, compact, verify, repair, ...",
    "filter": "candidates of any method + norms -> verdicts, soft scores, the sweep over tau",
    "calibrate": "labelled matches -> tau, soft ratio and operating points of a model",
    "evaluate": "matches + ground truth -> uAP, RP90, precision, curve",
    "benchmark": "photos -> references, queries and truth, to measure copy detection with",
    "train": "images -> a trained descriptor",
    "edits": "images -> a contact sheet of edited copies, to see what training sees",
    "doctor": "versions, CPU instruction sets, GPU, and which paths will run",
}

# `edits` is a stage, whose folder has the name already
_FILES = {"edits": "edit_sheet"}

HELP = """usage: asl-fast VERB [options]

Is this picture an edited copy of one of those, which one, and which way round?

{verbs}

asl-fast VERB --help tells a verb's options, with an example. For a first look:

  asl-fast search --refs refs/ --queries queries/ --out matches.csv --report report.html
"""


def main(argv: list[str] | None = None) -> int:
    """Hand the arguments to the verb's own file; return its exit status."""
    arguments = sys.argv[1:] if argv is None else argv
    if arguments and arguments[0] in VERBS:
        verb = arguments[0]
        return int(import_module(f"asl_fast.{_FILES.get(verb, verb)}").main(arguments[1:]))
    if arguments and arguments[0] == "--version":
        from asl_fast import __version__

        print(f"asl-fast {__version__}")
        return DONE
    text = HELP.format(verbs="\n".join(f"  {verb:<10} {what}" for verb, what in VERBS.items()))
    if not arguments or arguments[0] in ("-h", "--help", "help"):
        print(text, end="")
        return DONE
    print(f"asl-fast: error: no verb {arguments[0]!r}; the verbs are {', '.join(VERBS)}", file=sys.stderr)
    return USER_ERROR
