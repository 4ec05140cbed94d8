#!/usr/bin/env bash
# Build, check and time the GPU paths on a machine with an NVIDIA GPU. `build search-tests sanitizer search`, the exact
# search alone, takes under 8 minutes; all of it in one call may pass 10.
# usage: scripts/gpu_check.sh [OUT [STEP...]]   OUT: folder of the results, default benchmarks/results
#   STEP: of build search-tests sanitizer search tests times views, default all; without build the last one is used
# Needs no network: a Python (PYTHON=..., default python3) with torch, triton, numpy, pytest, pybind11 and
# scikit-build-core, and CMake, nvcc and a C++ compiler on PATH.
# Exit status: 0 all well, 1 something failed (the lines above say what), 2 no GPU that PyTorch can use.
set -uo pipefail
cd "$(dirname "$0")/.."
python=${PYTHON:-python3}
out=${1:-benchmarks/results}
steps=" ${*:2} "
[ "$steps" != "  " ] || steps=" build search-tests sanitizer search tests times views "
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
    case "$steps" in *" $name "*) ;; *) return ;; esac
    echo "gpu_check: $name"
    timeout "$seconds" "$@" || failed="$failed $name (status $?),"
    echo "gpu_check: $name took $((SECONDS - start)) s"
}

# An installed copy: the source folder has no native module. -P keeps that folder from being found first.
case "$steps" in *" build "*) rm -rf "$site" ;; esac
step build 150 env ASL_FAST_CUDA=ON CMAKE_CUDA_ARCHITECTURES="$capability-real" "$python" -m pip install --quiet \
    --disable-pip-version-check --no-index --no-deps --no-build-isolation --target "$site" \
    --config-settings=build-dir=build/gpu_check_cmake .
[ -z "$failed" ] || { echo "gpu_check: failed:${failed%,}" >&2; exit 1; }
export PYTHONPATH=$site
pytest=("$python" -P -m pytest -q -c /dev/null --rootdir . -p no:cacheprovider -W ignore)
step search-tests 90 "${pytest[@]}" tests/kernels/test_ratio_search_cuda.py
sanitized=(compute-sanitizer --error-exitcode 9)
if ! command -v compute-sanitizer >/dev/null; then
    echo "gpu_check: sanitizer: compute-sanitizer is not on PATH; left out"
else
    for tool in memcheck racecheck synccheck; do
        step sanitizer 60 "${sanitized[@]}" --tool "$tool" "${pytest[@]}" -k small tests/kernels/test_ratio_search_cuda.py
    done
fi
step search 150 env PYTHONPATH="$site:$PWD" "$python" -P -m benchmarks.gpu_search --out "$out" --seconds 100
step tests 200 "${pytest[@]}" \
    tests/kernels/test_cosface_ratio_gpu.py tests/losses/test_losses_gpu.py \
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
