#!/usr/bin/env bash
# Build, check and time the GPU paths on a machine with an NVIDIA GPU, in one call of under 8 minutes.
# usage: scripts/gpu_check.sh [--seconds S] [OUT [STEP...]]
#   OUT: folder of the results, default benchmarks/results
#   STEP: default `build search-tests sanitizer search`, the exact search; by name also tests, times (the loss), views.
#         Without build the last one is used.
#   --seconds: the clock of the whole run, default 450. A step whose limit would pass it is skipped; what earlier ones
#         have written stays.
# Needs no network: a Python (PYTHON=..., default python3) with torch, numpy, pytest, pybind11 and scikit-build-core
# (for tests and times triton and hypothesis, too), and CMake, nvcc and a C++ compiler on PATH.
# Exit status: 0 all well, 1 something failed (the lines above say what), 2 no GPU that PyTorch can use or a wrong
# argument, 3 nothing failed but something was skipped.
set -uo pipefail
cd "$(dirname "$0")/.."
python=${PYTHON:-python3}
clock=450
if [ "${1:-}" = --seconds ]; then
    clock=${2:-}
    [[ $clock =~ ^[1-9][0-9]*$ ]] || { echo "gpu_check: --seconds must be a whole number above 0, got '$clock'" >&2; exit 2; }
    shift 2
fi
out=${1:-benchmarks/results}
steps=" ${*:2} "
[ "$steps" != "  " ] || steps=" build search-tests sanitizer search "
for name in $steps; do
    case " build search-tests sanitizer search tests times views " in *" $name "*) ;; *)
        echo "gpu_check: there is no step '$name': build, search-tests, sanitizer, search, tests, times or views" >&2
        exit 2 ;;
    esac
done
site=$PWD/build/gpu_check

capability=$("$python" -c 'import torch; print("%d%d" % torch.cuda.get_device_capability())' 2>/dev/null)
if [ -z "$capability" ]; then
    echo "gpu_check: no GPU that PyTorch of $python can use; run it where torch.cuda.is_available() is true" >&2
    exit 2
fi

failed="" skipped=""
step() { # NAME SECONDS COMMAND...
    local name=$1 limit=$2 start=$SECONDS status=0
    shift 2
    case "$steps" in *" $name "*) ;; *) return ;; esac
    if [ $((SECONDS + limit)) -gt "$clock" ]; then
        echo "gpu_check: $name: skipped, $SECONDS s of $clock s are spent and it may take $limit s"
        skipped="$skipped $name,"
        return
    fi
    echo "gpu_check: $name, at most $limit s"
    timeout --kill-after 5 "$limit" "$@" || status=$?
    case $status in
        0) ;;
        124 | 137) failed="$failed $name (ended at its limit; what it has written stays)," ;;
        *) failed="$failed $name (status $status)," ;;
    esac
    echo "gpu_check: $name took $((SECONDS - start)) s"
}
leave_out() { # NAME WHY
    case "$steps" in *" $1 "*) ;; *) return ;; esac
    echo "gpu_check: $1: left out, $2"
    skipped="$skipped $1,"
}
has() { "$python" -c "import $1" 2>/dev/null; }

# An installed copy, for this GPU alone: the source folder has no native module. -P keeps that folder from being found
# first. Make, where Ninja isn't there, would compile one file at a time.
case "$steps" in *" build "*) rm -rf "$site" ;; esac
step build 120 env ASL_FAST_CUDA=ON CMAKE_CUDA_ARCHITECTURES="$capability-real" CMAKE_BUILD_PARALLEL_LEVEL="$(nproc)" \
    "$python" -m pip install --quiet --disable-pip-version-check --no-index --no-deps --no-build-isolation --target "$site" \
    --config-settings=build-dir=build/gpu_check_cmake .
[ -z "$failed$skipped" ] || { echo "gpu_check: failed:${failed%,}${skipped:+ skipped:${skipped%,}}" >&2; exit 1; }
export PYTHONPATH=$site PYTEST_DISABLE_PLUGIN_AUTOLOAD=1
# Not the project's own settings, which ask for plugins and, with tests/conftest.py, for hypothesis; and no plugin that
# happens to be installed there.
pytest=("$python" -P -m pytest -q -c /dev/null --rootdir . -p no:cacheprovider -W ignore)
search_tests=("${pytest[@]}" --noconftest tests/kernels/test_ratio_search_cuda.py)
if has pytest; then
    step search-tests 60 "${search_tests[@]}"
    if command -v compute-sanitizer >/dev/null; then
        for tool in memcheck racecheck synccheck; do
            step sanitizer 40 compute-sanitizer --error-exitcode 9 --tool $tool "${search_tests[@]}" -k small
        done
    else
        leave_out sanitizer "compute-sanitizer is not on PATH"
    fi
else # the benchmarks hold their answers against the CPU's and against float64 all the same
    for name in search-tests sanitizer tests; do leave_out $name "$python has no pytest"; done
    steps=${steps/ tests / }
fi
step search 150 env PYTHONPATH="$site:$PWD" "$python" -P -m benchmarks.gpu_search --out "$out" --seconds 110
if has hypothesis; then
    step tests 200 "${pytest[@]}" \
        tests/kernels/test_cosface_ratio_gpu.py tests/losses/test_losses_gpu.py \
        tests/kernels/test_cosface_ratio.py tests/kernels/test_cosface_ratio_class_softmax.py \
        tests/views/test_dali.py tests/views/test_dali_loading.py
else
    leave_out tests "$python has no hypothesis"
fi
step times 140 "$python" -P benchmarks/gpu_check.py --out "$out"
# Views: what isn't installed (DALI, torchvision) is told in the results. The folder of the benchmarks comes second:
# asl_fast is the installed one.
step views 140 env PYTHONPATH="$site:$PWD" "$python" -P -m benchmarks.views --device cuda --out "$out"
step views 110 env PYTHONPATH="$site:$PWD" "$python" -P -m benchmarks.gpu_views --out "$out"

if [ -n "$failed" ]; then
    echo "gpu_check: failed:${failed%,}${skipped:+ skipped:${skipped%,}}" >&2
    exit 1
fi
if [ -n "$skipped" ]; then
    echo "gpu_check: nothing failed, but skipped:${skipped%,}; results in $out" >&2
    exit 3
fi
echo "gpu_check: all well; results in $out"
