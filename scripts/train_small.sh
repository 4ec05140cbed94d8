#!/bin/sh
# The shipped model again, from photos to thresholds: scripts/train_small.sh PHOTOS OUT
#
# PHOTOS: pictures with manifest.csv (file,group) and pairs.csv (a,b,label: look alike, no copies) beside them. About
# an hour on two cores; stopped, it goes on with the same command. It ends with the package's default model replaced.
set -eu
photos=${1:?usage: scripts/train_small.sh PHOTOS OUT}
out=${2:?usage: scripts/train_small.sh PHOTOS OUT}
default=asl_fast/models/default
cd "$(dirname "$0")/.."
make .venv/bench.stamp # AugLy, whose edits training never shows
run() { .venv/bin/python -m asl_fast "$@"; }

# Seven eighths of the photos, whole groups, train; the others are listed in held_back.txt and calibrate.
run train --images "$photos" --pairs "$photos/pairs.csv" --recipe small --seed 0 --out "$out"
[ -d "$out/benchmark" ] || run benchmark make --images "$out/held_back.txt" --groups "$photos/manifest.csv" \
    --pairs "$photos/pairs.csv" --edits augly --copies-per-family 30 --reversed 125 --look-alikes 240 --easy 190 \
    --seed 3 --out "$out/benchmark"

# Every sixth of the photos it learned from is what scores can be normalised against.
find "$(realpath "$photos")" -name '*.jpg' | sort | grep -v -x -F -f "$out/held_back.txt" | awk 'NR % 6 == 0' \
    > "$out/background.txt"

# Thresholds are of the weights as they ship, in 16 bits.
.venv/bin/python scripts/ship_model.py --model "$out/model" --background "$out/background.txt" \
    --note "trained by asl_fast: 5,500 steps of the small recipe; see README.md"
for side in references queries; do
    run embed --model $default --images "$out/benchmark/$side" --out "$out/$side.npy"
done
run search --model $default --refs "$out/references.npy" --queries "$out/queries.npy" -k 10 \
    --soft-ratio none --out "$out/matches.csv"
run calibrate --matches "$out/matches.csv" --truth "$out/benchmark/truth.csv" \
    --queries "$out/benchmark/queries.csv" --model $default --tau-for kept
