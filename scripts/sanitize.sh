#!/usr/bin/env bash
# Build the native code with the address and undefined-behaviour sanitizers, then with the thread sanitizer,
# and run its native checks. Needs only a C++ compiler. Takes five minutes on two busy cores, most of them the thread
# sanitizer's.
set -euo pipefail
cd "$(dirname "$0")/.."
compiler=${CXX:-c++}

instructions_of() {
    case "$1" in
        *_amx.cpp) echo "-mavx512f -mfma -mamx-tile -mamx-int8" ;;
        *_avx512vnni.cpp) echo "-mavx512f -mavx512vnni -mfma" ;;
        *_avxvnni.cpp) echo "-mavx2 -mfma -mavxvnni" ;;
        *_avx512.cpp) echo "-mavx512f -mfma" ;;
        *_avx2.cpp) echo "-mavx2 -mfma" ;;
        *_neon.cpp) echo "-march=armv8.2-a+dotprod" ;;
    esac
}

check() {
    local name=$1 sanitizer=$2 folder="build/sanitize/$1" source
    rm -rf "$folder"
    mkdir -p "$folder"
    local sources=(csrc/*/*.cpp tests/native/*_native.cpp) checks foreign
    case "$(uname -m)" in x86_64 | amd64) foreign=_neon ;; aarch64 | arm64) foreign=_a[vm]x ;; *) foreign='_a[vm]x\|_neon' ;; esac
    sources=($(printf '%s\n' "${sources[@]}" | grep -v "$foreign"))
    # shellcheck disable=SC2046 # the flags are words
    for source in "${sources[@]}"; do
        echo "$(instructions_of "$source") -o $folder/$(basename "$source" .cpp).o $source"
    done | xargs -P "$(nproc)" -L 1 "$compiler" -std=c++20 -O1 -g -Wall -Wextra -fno-omit-frame-pointer \
        -fsanitize="$sanitizer" -fno-sanitize-recover=all -c
    for checks in "$folder"/*_native.o; do
        mv "$checks" "$checks.main"
    done
    for checks in "$folder"/*_native.o.main; do
        "$compiler" -fsanitize="$sanitizer" "$folder"/*.o "$checks" -pthread -o "$folder/checks"
        "$folder/checks"
    done
    echo "sanitize: $name: clean"
}

check address-undefined address,undefined,float-cast-overflow
check thread thread
