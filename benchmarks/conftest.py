"""Benchmarks are functions bench_* in files bench_*.py, so that `pytest` alone collects tests only."""

from __future__ import annotations

import pytest


def pytest_configure(config: pytest.Config) -> None:
    """Collect benchmarks where this folder is asked for: `make bench`."""
    config.addinivalue_line("python_files", "bench_*.py")
    config.addinivalue_line("python_functions", "bench_*")
