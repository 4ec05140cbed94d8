"""What figures depend on."""

from __future__ import annotations

import platform
from collections.abc import Iterable
from importlib.metadata import PackageNotFoundError, version


def cpu_brand() -> str:
    with open("/proc/cpuinfo") as lines:
        return next(
            (line.split(":", 1)[1].strip() for line in lines if line.startswith("model name")), "unknown CPU"
        )


def versions(packages: Iterable[str]) -> str:
    """Of Python and these packages, on one line."""
    return f"Python {platform.python_version()}, " + ", ".join(map(_versioned, packages))


def _versioned(package: str) -> str:
    try:
        return f"{package} {version(package)}"
    except PackageNotFoundError:
        return f"no {package}"
