#!/usr/bin/env bash
# Build, check and time the GPU paths on a machine with an NVIDIA GPU, in one call under 10 minutes.
# usage: scripts/gpu_check.sh [OUT]       OUT: folder of the results, default benchmarks/results
# Needs no network: a Python (PYTHON=..., default python3) with torch, triton, numpy, pytest, pybind11 and
# scikit-build-core, and CMake, nvcc and a C++ compiler on PATH.
# Exit status: 0 all well, 1 something failed (the lines above say what), 2 no GPU that PyTorch can use.
set -uo pipefail
cd "$(dirname "$0")/.."
python=${PYTHON:-python3}
out=${1:-benchmarks/results}
site=$PWD/build/gpu_check

capability=$("$python" -c 'import torch; print("%d%d" % torch.cuda.get_device_capability())' 2>/dev/null)
if [ -z "$capability" ]; then
    echo "gpu_check: no GPU that PyTorch of $python can use; run it where torch.cuda.is_available() is true" >&2
    exit 2
fi

failed=""
step() { # NAME SECONDS COMMAND...
    local name=$1 seconds=$2 start=$SECONDS
    shift 2
    echo "gpu_check: $name"
    timeout "$seconds" "$@" || failed="$failed $name (status $?),"
    echo "gpu_check: $name took $((SECONDS - start)) s"
}

# An installed copy: the source folder has no native module. -P keeps that folder from being found first.
rm -rf "$site"
step build 150 env ASL_FAST_CUDA=ON CMAKE_CUDA_ARCHITECTURES="$capability-real" "$python" -m pip install --quiet \
    --disable-pip-version-check --no-index --no-deps --no-build-isolation --target "$site" \
    --config-settings=build-dir=build/gpu_check_cmake .
[ -z "$failed" ] || { echo "gpu_check: failed:${failed%,}" >&2; exit 1; }
export PYTHONPATH=$site
step tests 200 "$python" -P -m pytest -q -c /dev/null --rootdir . -p no:cacheprovider -W ignore \
    tests/kernels/test_ratio_search_cuda.py tests/kernels/test_cosface_ratio_gpu.py tests/losses/test_losses_gpu.py \
    tests/kernels/test_cosface_ratio.py tests/kernels/test_cosface_ratio_class_softmax.py \
    tests/views/test_dali.py tests/views/test_dali_loading.py
step times 140 "$python" -P benchmarks/gpu_check.py --out "$out"
# Views: what isn't installed (DALI, torchvision) is told in the results.
step views 140 env PYTHONPATH="$site:$PWD" "$python" -P -m benchmarks.views --device cuda --out "$out"

# The folder of the benchmarks comes second: asl_fast is the installed one. Says so where DALI is missing.
step views 110 env PYTHONPATH="$site:$PWD" "$python" -P -m benchmarks.gpu_views --out "$out"

if [ -n "$failed" ]; then
    echo "gpu_check: failed:${failed%,}" >&2
    exit 1
fi
echo "gpu_check: all well; results in $out"
