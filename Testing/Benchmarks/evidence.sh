#!/usr/bin/env bash
# The evidence behind LMIAL's default strategy, from nothing: Testing/Benchmarks/evidence.sh OUT
# Several hours on two cores; every step goes on where it was stopped. Then: python Docs/make_evidence.py OUT
set -euo pipefail
out=$(realpath -m "${1:?a folder for everything that is made}")
cd "$(dirname "$0")/../.."
python=${PYTHON:-.venv/bin/python}
export OMP_NUM_THREADS=1
mkdir -p "$out"
lmial() { "$python" -m LMIALLib "$@"; }
every=$("$python" -c 'from LMIALLib.queries.strategies import STRATEGIES; print(",".join(STRATEGIES))')
few=difference-entropy-normalised,foreground-random-prediction,random,entropy,difference-entropy,core-set
cohort=$out/cohort
weights=$out/phantom.safetensors

# 36 subjects on real backgrounds, split by brain and by lesion source; weights that saw phantoms and nothing else
[ -e "$cohort" ] || lmial cohort make "$cohort" --subjects 36 --seed 0 --flavour real
[ -e "$weights" ] || LMIAL_DATA=/nowhere lmial pretrain Testing/Benchmarks/evidence-phantom.json --out "$weights"

compare() { lmial simulate "$cohort" --recipe plain --workers 2 --resume "$@"; }

# confirmation: new seeds, the test brains
compare --out "$out/confirm-phantom" --part test --first-seed 100 --seeds 12 --strategies $few \
    --start "$weights" --steps 400 --query 53 --rounds 4
compare --out "$out/confirm-scratch" --part test --first-seed 100 --seeds 12 --strategies $few \
    --start scratch --steps 300 --initial 21 --query 48 --rounds 4
compare --out "$out/confirm-noisy" --part test --first-seed 100 --seeds 12 \
    --strategies difference-entropy-normalised,foreground-random-prediction,random --reader noisy \
    --start "$weights" --steps 400 --query 53 --rounds 4
compare --out "$out/confirm-noisy-scratch" --part test --first-seed 100 --seeds 8 \
    --strategies difference-entropy-normalised,foreground-random-prediction --reader noisy \
    --start scratch --steps 300 --initial 21 --query 48 --rounds 4

# distance between queries of a round, and slices asked for in a round
choose() { compare --part validation --seeds 6 --strategies difference-entropy-normalised --start "$weights" --steps 400 "$@"; }
for spacing in 0 6 12 24; do
    choose --out "$out/spacing-$spacing" --spacing $spacing --query 53 --rounds 4
done
choose --out "$out/batch-27" --query 27 --rounds 8
choose --out "$out/batch-107" --query 107 --rounds 2

# the real pairs, each with weights that never saw that patient
for patient in patient01 patient12; do
    study=$out/$patient
    [ -e "$study" ] || lmial import "$study" "${LMIAL_DATA:-../shared/data}/open_ms" --layout open-ms --subjects $patient
    lmial simulate "$study" --out "$out/pair-$patient" --start Testing/Weights/without-$patient.safetensors \
        --recipe product --strategies difference-entropy-normalised,foreground-random-prediction,random --seeds 3 --query 2 --rounds 4 \
        --workers 2 --resume
done

# screening: every strategy on the validation brains (this came first; the default was chosen from it)
compare --out "$out/screen-phantom" --part validation --seeds 4 --strategies "$every" \
    --start "$weights" --steps 200 --query 71 --rounds 3
compare --out "$out/screen-scratch" --part validation --seeds 4 --strategies "$every" \
    --start scratch --steps 300 --initial 21 --query 64 --rounds 3
