#!/bin/sh
# Make .venv, install the pinned dependencies, build the native module. Run by make; says what is missing.
# usage: scripts/setup.sh EXTRAS     (a list such as test,lint; empty for none)
set -eu
cd "$(dirname "$0")/.."
extras=${1:-}

fail() { echo "setup: $1" >&2; exit 1; }

fits() { "$1" -c 'import sys; raise SystemExit(not (3, 11) <= sys.version_info[:2] <= (3, 13))' 2>/dev/null; }

if [ ! -x .venv/bin/python ]; then
    python=""
    for name in ${PYTHON:-python3 python3.12 python3.13 python3.11}; do
        if command -v "$name" >/dev/null && fits "$name"; then python=$name; break; fi
    done
    [ -n "$python" ] || fail "needs Python 3.11, 3.12 or 3.13 on PATH (or: make PYTHON=/path/to/python3.11 ...)"
    # Debian's python3 comes without ensurepip; a pip beside it can still fill the environment
    "$python" -m venv .venv >/dev/null 2>&1 || {
        rm -rf .venv
        "$python" -m venv --without-pip .venv || fail "could not make .venv with $python"
        "$python" -m pip --python .venv/bin/python install -q pip ||
            { rm -rf .venv; fail "$python has neither ensurepip nor pip; install python3-venv (Debian: apt-get install python3-venv)"; }
    }
fi
fits .venv/bin/python || fail ".venv holds another Python than 3.11 to 3.13; remove .venv and run again"
compiler=${CXX:-c++}
command -v "$compiler" >/dev/null || command -v g++ >/dev/null ||
    fail "needs a C++ compiler (Debian: apt-get install g++)"

echo "setup: installing pinned dependencies into .venv (PyTorch is large: one to three minutes the first time)" >&2
pip() { .venv/bin/python -m pip --disable-pip-version-check --quiet "$@"; }
pip install -c constraints.txt cmake ninja pybind11 scikit-build-core setuptools # setuptools: iopath has no wheel
case $extras in *bench*) pip install -c constraints.txt cython numpy wheel ;; esac # pdqhash has no wheel
[ -z "$extras" ] || extras="[$extras]"
echo "setup: building the native module" >&2
PATH="$PWD/.venv/bin:$PATH" pip install -c constraints.txt --no-build-isolation -e ".$extras"
