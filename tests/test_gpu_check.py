"""The script for machines with a GPU, as far as one without can run it."""

import json
import os
import re
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


def run_with_a_fake_python(tmp_path, *arguments, lacks="", fails="never"):
    """The script with a Python that has a GPU and only writes down what it is asked to run."""
    fake = tmp_path / "python"
    fake.write_text(
        "#!/bin/sh\n"
        'case "$*" in\n'
        "*get_device_capability*) echo 120;;\n"
        f'"-c import {lacks}") exit 1;;\n'
        f'*"{fails}"*) echo "$CMAKE_CUDA_ARCHITECTURES $*"; exit 7;;\n'
        '*) echo "$CMAKE_CUDA_ARCHITECTURES $*";;\n'
        "esac\n"
    )
    sanitizer = tmp_path / "compute-sanitizer"
    sanitizer.write_text('#!/bin/sh\nshift 4; exec "$@"\n')
    for file in (fake, sanitizer):
        file.chmod(0o755)
    environment = os.environ | {"PYTHON": str(fake), "PATH": f"{tmp_path}:{os.environ['PATH']}"}
    return subprocess.run(
        [ROOT / "scripts/gpu_check.sh", *arguments],
        env=environment,
        capture_output=True,
        text=True,
        check=False,
    )


def test_the_whole_run_fits_its_clock_and_builds_for_the_gpu_that_is_there(tmp_path):
    done = run_with_a_fake_python(tmp_path)
    assert done.returncode == 0, done.stderr
    limits = re.findall(r"^gpu_check: (\S+), at most (\d+) s$", done.stdout, re.MULTILINE)
    assert [name for name, _ in limits] == ["build", "search-tests", *["sanitizer"] * 3, "search"]
    assert sum(int(limit) for _, limit in limits) <= 450
    assert "120-real -m pip install" in done.stdout
    assert done.stdout.endswith("gpu_check: all well; results in benchmarks/results\n")


def test_a_step_that_would_pass_the_clock_is_skipped_and_said(tmp_path):
    done = run_with_a_fake_python(tmp_path, "--seconds", "100", "out", "search-tests", "search")
    assert done.returncode == 3
    assert "gpu_check: search: skipped, 0 s of 100 s are spent and it may take 150 s\n" in done.stdout
    assert done.stderr == "gpu_check: nothing failed, but skipped: search; results in out\n"


def test_without_pytest_the_benchmarks_still_run_and_it_says_what_is_missing(tmp_path):
    done = run_with_a_fake_python(tmp_path, lacks="pytest")
    assert done.returncode == 3
    assert "-m benchmarks.gpu_search" in done.stdout and "-m pytest" not in done.stdout
    assert "skipped: search-tests, sanitizer;" in done.stderr


def test_a_test_that_fails_is_told_at_the_end_of_a_run_that_goes_on(tmp_path):
    done = run_with_a_fake_python(tmp_path, fails="-m pytest")
    assert done.returncode == 1
    assert "-m benchmarks.gpu_search" in done.stdout
    assert done.stderr.startswith("gpu_check: failed: search-tests (status 7), sanitizer (status 7),")


def test_a_build_that_fails_ends_the_run(tmp_path):
    done = run_with_a_fake_python(tmp_path, fails="pip")
    assert done.returncode == 1
    assert "search-tests" not in done.stdout
    assert done.stderr == "gpu_check: failed: build (status 7)\n"


@pytest.mark.parametrize("arguments", [("--seconds", "x"), ("out", "biuld")])
def test_a_wrong_argument_is_one_line_and_status_2(tmp_path, arguments):
    done = run_with_a_fake_python(tmp_path, *arguments)
    assert done.returncode == 2 and done.stderr.count("\n") == 1


def test_the_tests_of_the_search_need_nothing_but_numpy_and_pytest(tmp_path):
    (tmp_path / "sitecustomize.py").write_text(
        "import sys\n"
        "for name in 'hypothesis cv2 PIL torch faiss scipy pyarrow h5py matplotlib tqdm'.split():\n"
        "    sys.modules[name] = None\n"
    )
    environment = os.environ | {"PYTHONPATH": str(tmp_path), "PYTEST_DISABLE_PLUGIN_AUTOLOAD": "1"}
    command = [
        sys.executable,
        "-P",
        "-m",
        "pytest",
        "-q",
        "-c",
        "/dev/null",
        "--rootdir",
        ".",
        "--noconftest",
    ]
    command += ["-p", "no:cacheprovider", "--collect-only", "tests/kernels/test_ratio_search_cuda.py"]
    subprocess.run(command, check=True, capture_output=True, cwd=ROOT, env=environment)


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
