"""A file appears whole or not at all."""

from __future__ import annotations

import os
import resource
import subprocess
import sys
import textwrap

import pytest

from asl_fast.files import replacing


def test_new_content_replaces_the_old(tmp_path):
    target = tmp_path / "deep" / "out.txt"
    with replacing(target) as temporary:
        temporary.write_text("one")
    with replacing(target) as temporary:
        temporary.write_text("two")
    assert target.read_text() == "two"
    assert os.listdir(target.parent) == ["out.txt"]


def test_an_exception_keeps_the_old_content_and_leaves_no_temporary_file(tmp_path):
    target = tmp_path / "out.txt"
    target.write_text("old")

    def write_half():
        with replacing(target) as temporary:
            temporary.write_text("ne")
            raise RuntimeError("half way")

    with pytest.raises(RuntimeError, match="half way"):
        write_half()
    assert target.read_text() == "old"
    assert os.listdir(tmp_path) == ["out.txt"]


def test_permissions_follow_the_umask(tmp_path):
    mask = os.umask(0o027)
    try:
        with replacing(tmp_path / "out.txt") as temporary:
            temporary.write_text("text")
    finally:
        os.umask(mask)
    assert (tmp_path / "out.txt").stat().st_mode & 0o777 == 0o640


def test_a_full_disk_leaves_nothing_under_the_final_name(tmp_path):
    """A size limit on files makes write() fail as a full disk does: half way."""
    code = f"""
        import resource, signal
        from asl_fast.files import replacing
        signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
        resource.setrlimit(resource.RLIMIT_FSIZE, (4096, {resource.RLIM_INFINITY}))
        with replacing({str(tmp_path / "out.bin")!r}) as temporary:
            temporary.write_bytes(b"x" * 100_000)
    """
    outcome = subprocess.run([sys.executable, "-c", textwrap.dedent(code)], capture_output=True, text=True)
    assert "File too large" in outcome.stderr
    assert os.listdir(tmp_path) == []
