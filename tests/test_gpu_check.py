"""The script for machines with a GPU, as far as one without can run it."""

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]


def test_without_a_gpu_it_says_so_in_one_line_and_exits_with_2():
    environment = os.environ | {"PYTHON": sys.executable, "CUDA_VISIBLE_DEVICES": ""}
    done = subprocess.run(
        [ROOT / "scripts/gpu_check.sh"], env=environment, capture_output=True, text=True, check=False
    )
    assert done.returncode == 2 and done.stdout == ""
    assert done.stderr.startswith("gpu_check: no GPU that PyTorch of ") and done.stderr.count("\n") == 1


def test_times_are_written_for_each_size(tmp_path):
    arguments = ["--device", "cpu", "--repeats", "1", "--sizes", "5,300,16", "--search", "70,900,8"]
    command = [sys.executable, ROOT / "benchmarks/gpu_check.py", "--out", tmp_path, *arguments]
    subprocess.run(command, check=True, capture_output=True)
    found = json.loads((tmp_path / "cpu/gpu_check.json").read_text())
    assert [row["operation"] for row in found["rows"]] == ["ratio_search", "cosface_ratio"]
    assert found["rows"][0]["search_ms"] > 0
    assert found["rows"][1]["forward_ms"] > 0 and found["rows"][1]["forward_backward_ms"] > 0


def test_searches_are_checked_and_timed_beside_peers(tmp_path):
    arguments = ["--device", "cpu", "--sizes", "70,900,8", "--shares", "1", "0.1"]
    command = [sys.executable, "-m", "benchmarks.gpu_search", "--out", tmp_path, *arguments]
    subprocess.run(command, check=True, capture_output=True, cwd=ROOT)
    machine, prepare, check, *rows = json.loads((tmp_path / "cpu/gpu_search.json").read_text())["rows"]
    assert machine["copy_gb_per_s"] > 0 and prepare["seconds"] > 0
    assert check["cpu_bits"] and check["queries"] == 70 and check["ids_unlike_float64"] == 0
    assert [row["of"] for row in rows[:3]] == ["asl_fast", "torch float32", "torch bfloat16"]
    assert {tuple(row["size_QND"]) for row in rows} == {(70, 900, 8), (1, 900, 8), (32, 900, 8)}
    assert all(row["ms"] > 0 and row.get("queries_short", 0) == 0 for row in rows)
    dense, tenth = (
        row["valid_pairs"] for row in rows if row["of"] == "asl_fast" and row["size_QND"][0] == 70
    )
    assert 0.05 * dense < tenth < 0.2 * dense  # few queries, so only about a tenth


@pytest.mark.slow
def test_views_are_checked_and_counted(tmp_path):
    pytest.importorskip("nvidia.dali", reason="DALI is not installed: pip install 'asl-fast[dali]'")
    arguments = ["--device", "cpu", "--seconds", "0.5", "--batch", "4", "--processes", "1"]
    command = [sys.executable, "-m", "benchmarks.gpu_views", "--out", tmp_path, *arguments]
    subprocess.run(command, check=True, capture_output=True, cwd=ROOT)
    check, ours, theirs = json.loads((tmp_path / "cpu/gpu_views.json").read_text())["rows"]
    assert 0 < check["median"] < 3
    assert ours["by"] == "DALI" and ours["views_per_s"] > 0 and theirs["views_per_s"] > 0
