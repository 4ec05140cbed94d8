"""Every verb answers --help with an example, and a user's mistake is one line with exit status 2."""

from __future__ import annotations

import argparse
import errno
import re
import subprocess
import sys
from importlib import import_module

import numpy as np
import pytest

from asl_fast.cli import VERBS, main
from asl_fast.errors import InputError, run_command


@pytest.mark.parametrize("verb", VERBS)
def test_help_shows_an_example(verb, capsys):
    with pytest.raises(SystemExit) as stop:
        main([verb, "--help"])
    shown = capsys.readouterr().out
    assert stop.value.code == 0
    assert re.search(rf"^examples?:\n  asl-fast {verb}", shown, re.MULTILINE)


def test_verbs_are_listed_and_an_unknown_one_is_refused(capsys):
    assert main([]) == 0
    assert all(verb in capsys.readouterr().out for verb in ["embed"])
    assert main(["serach"]) == 2
    assert "no verb 'serach'; the verbs are embed, search" in capsys.readouterr().err


def test_module_and_console_command_are_the_same():
    through_module = subprocess.run(
        [sys.executable, "-m", "asl_fast.search", "--help"], capture_output=True, text=True
    )
    through_cli = subprocess.run(
        [sys.executable, "-m", "asl_fast", "search", "--help"], capture_output=True, text=True
    )
    assert through_module.returncode == through_cli.returncode == 0
    assert through_module.stdout == through_cli.stdout


def failing(error):
    def run(args):
        raise error

    return run


@pytest.mark.parametrize(
    "error",
    [
        InputError("--refs x.npy\nis broken"),
        OSError(errno.ENOSPC, "No space left on device", "out.npy"),
    ],
)
def test_a_user_error_is_one_line_and_exit_status_2(error, capsys):
    assert run_command("embed", failing(error), argparse.Namespace()) == 2
    shown = capsys.readouterr().err
    assert shown.startswith("asl-fast embed: error: ")
    assert shown.count("\n") == 1


def test_a_value_error_of_ours_is_one_line_but_a_librarys_is_our_fault(capsys):
    def ours(args):
        import_module("asl_fast.records").Embeddings(ids=[], row_ND=np.zeros((0, 4), np.float32))

    assert run_command("embed", ours, argparse.Namespace()) == 2
    assert "holds no rows" in capsys.readouterr().err
    with pytest.raises(ValueError, match="invalid literal"):
        run_command("embed", lambda args: int("x"), argparse.Namespace())


def test_ctrl_c_is_no_traceback(capsys):
    assert run_command("embed", failing(KeyboardInterrupt()), argparse.Namespace()) == 130
    assert capsys.readouterr().err.strip() == "asl-fast embed: interrupted"


def test_doctor_says_which_paths_will_run(capsys):
    assert main(["doctor"]) == 0
    shown = capsys.readouterr().out
    assert "exact C++" in shown
    assert "search --device cuda" in shown
