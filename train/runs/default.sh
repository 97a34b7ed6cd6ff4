#!/usr/bin/env bash
# checkpoints/default, as it was made on 2026-11-23: two CPU cores, in legs, because the recipe was still being found.
# CORPUS holds corpus/ and pop909-annotations/ (see the model card for the sources).
set -euo pipefail
cd "$(dirname "$0")/../.."
export OMP_WAIT_POLICY=passive
CORPUS=${1:?usage: train/runs/default.sh CORPUS WORK}
WORK=${2:?usage: train/runs/default.sh CORPUS WORK}
train() { python train/train.py --preset tiny --mix shipped --data "$WORK/shards" "$@"; }

python train/prepare.py "$CORPUS/corpus" "$WORK/shards" --annotations "$CORPUS/pop909-annotations"

# The first 1,400 steps were made by earlier versions of the code (git checkout each, and stop the run at the step named):
#   d307877  --out run1 --steps 3500 --compile            to step 900: no plan windows
#   c3e421c  --out run1 --steps 3500 --compile --resume   to step 1,100: plan windows (pop909 35 %, its versions 30 %)
#   53da45d  --out run1 --steps 2700 --compile --resume   to step 1,400: more of them (45 %, 40 %)
# Their weights, with the new `heard` matrix at zero and the unused first `mix` dropped, are what --init names below.
# From here on the code is that of this commit. Without those legs, leave --init out and ask for 2,500 steps.
train --out "$WORK/run2" --init "$WORK/run1/init" --steps 1150 --cooldown 0.45 --warmup 50 --compile --seed 1 --workers 1

python train/judge.py "$WORK/run2/checkpoint" "$WORK/shards"
