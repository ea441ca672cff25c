#!/usr/bin/env bash
# Do slices that nobody read help, or a start that learned without labels? From nothing: Testing/Benchmarks/companions.sh OUT
# About an hour and a half on one core (three times that where it is shared); every step goes on where it was stopped. Then: python Docs/make_companions.py OUT
set -euo pipefail
out=$(realpath -m "${1:?a folder for everything that is made}")
cd "$(dirname "$0")/../.."
python=${PYTHON:-.venv/bin/python}
export OMP_NUM_THREADS=1
mkdir -p "$out"
lmial() { "$python" -m LMIALLib "$@"; }
cohort=$out/cohort
weights=$out/phantom.safetensors

[ -e "$cohort" ] || lmial cohort make "$cohort" --subjects 36 --seed 0 --flavour real
[ -e "$weights" ] || LMIAL_DATA=/nowhere lmial pretrain Testing/Benchmarks/evidence-phantom.json --out "$weights"

compare() { # PLACE NAME OPTIONS...
    local place=$1 name=$2
    shift 2
    lmial simulate "$place" --out "$out/$name" --recipe plain --workers 1 --resume --part test --steps 300 \
        --initial 21 --query 64 --rounds 3 --first-seed 200 "$@"
}

# slices nobody read; each against none at the same seeds
for semi in none mean-teacher pseudo; do
    compare "$cohort" $semi --seeds 8 --strategies default --semi $semi
done
for semi in none mean-teacher pseudo; do
    compare "$cohort" phantom-$semi --seeds 6 --strategies default --start "$weights" --semi $semi
done

# a start that learned without labels, far from what the pretrained weights saw, and on FLAIR brains
inverted() { [ -e "$out/$1" ] || "$python" Testing/Benchmarks/inverted_cases.py "$out/none" "$out/$1" "${@:2}"; }
inverted far-scratch
inverted far-mae start=mae
compare "$cohort" far-scratch --seeds 5 --strategies default
compare "$cohort" far-mae --seeds 5 --strategies default --start mae
compare "$cohort" mae --seeds 6 --strategies default --start mae
