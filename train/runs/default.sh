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

# On 2026-11-24 it went on, niced to 19 beside six developers (their machine did 2 to 12 s a step), to better weights:
#   8c683fe  --out run3 --init run2/checkpoint --steps 3600 (1500 from step 460 on) --cooldown 0.4 (0.6) --warmup 50 --compile
#            --seed 3 --workers 1 --mix shipped --preset tiny, on the same shards, stopped at step 600, its rate still at the peak
# From here on the code and the shards are those of ef2fe27 (Groove's drums in General MIDI's keys, copies dropped).
python train/prepare.py "$CORPUS/corpus" "$WORK/shards4" --annotations "$CORPUS/pop909-annotations"
train4() { python train/train.py --preset tiny --mix shipped --data "$WORK/shards4" "$@"; }
train4 --out "$WORK/run4" --init "$WORK/run3/step-600" --minutes 42 --cooldown 0.7 --warmup 30 --compile --seed 4 --workers 1
# That afternoon, by the code of e195278, from run4's float32 weights (state.pt: what ships is bf16): 1,588 steps beside tests,
# 14.6 M rows, on the same shards.
train4 --out "$WORK/run5" --init "$WORK/run4/float32" --minutes 112 --cooldown 0.7 --warmup 30 --compile --seed 5 --workers 1
# That evening, by the code of 81af66d, from run5's float32 weights, on the same shards: 1,684 steps, 15.5 M rows.
train4 --out "$WORK/run6" --init "$WORK/run5/float32" --minutes 95 --cooldown 0.7 --warmup 30 --compile --seed 6 --workers 1
# On 2026-11-28, windows with looks (the code of 7b274ad), from run6's shipped bf16 weights, on the same shards, two
# processes: 2,620 steps, 24.1 M rows, stopped twice and resumed (once to measure live playing on a quiet machine).
train8() { torchrun --standalone --nproc-per-node 2 train/train.py --preset tiny --mix shipped --data "$WORK/shards4" "$@"; }
train8 --out "$WORK/run8" --init "$WORK/run6/checkpoint" --minutes 101.5 --cooldown 0.7 --warmup 30 --compile --seed 8 --workers 1

# On 2026-11-28, third session: run9 (the code of b4a7089, the old keys) from run8's shipped bf16 weights, 1,567 steps,
# and run10 from run9's, windows in the new keys (the code of 056f990; its Markov model is none of training's), 1,393
# steps, 12.8 M rows, both beside all else. The mean of run8's and run10's weights was better than either.
train8 --out "$WORK/run9" --init "$WORK/run8/checkpoint" --minutes 95 --cooldown 0.7 --warmup 30 --compile --seed 9 --workers 1
train8 --out "$WORK/run10" --init "$WORK/run9/checkpoint" --minutes 88 --cooldown 0.7 --warmup 30 --compile --seed 10 --workers 1
mean() { # of two checkpoints' weights, into a third
    cp -r "$2" "$3"
    python - "$@" <<'MEAN'
import sys
from safetensors.torch import load_file, save_file

one, two = (load_file(f"{folder}/model.safetensors") for folder in sys.argv[1:3])
save_file({k: ((one[k].float() + two[k].float()) / 2).to(one[k].dtype) for k in one}, f"{sys.argv[3]}/model.safetensors")
MEAN
}
grown() { # of a checkpoint's weights and a run's float32 ones, into a third; blocks that the run added stay its own
    python - "$@" <<'GROWN'
import sys
import torch
from safetensors.torch import load_file, save_file

old, run, mean = sys.argv[1:]
old, new = load_file(f"{old}/model.safetensors"), torch.load(f"{run}/state.pt", weights_only=True)["model"]
had, depth = (len({name.split(".")[1] for name in weights if name.startswith("blocks.")}) for weights in (old, new))
was = [i * had // depth for i in range(depth)]  # which block is which, as `EventModel.take_over` has it
for k, weight in new.items():
    block = int(k.split(".")[1]) if k.startswith("blocks.") else None
    if not block or was[block] != was[block - 1]:
        before = k if block is None else k.replace(f"blocks.{block}.", f"blocks.{was[block]}.")
        weight = 0.5 * old[before].float() + 0.5 * weight.float()
    new[k] = weight.to(torch.bfloat16)
save_file(new, f"{mean}/model.safetensors", metadata={"format": "pt"})
GROWN
}
leg() { # at half the rate, on shards of the day: its number, what it begins with, minutes; then the mean of both
    python train/prepare.py "$CORPUS/corpus" "$WORK/shards$1" --annotations "$CORPUS/pop909-annotations"
    torchrun --standalone --nproc-per-node 2 train/train.py --preset mini --mix shipped --data "$WORK/shards$1" \
        --out "$WORK/run$1" --init "$2" --minutes "$3" --cooldown 0.7 --warmup 30 --lr 0.002 --lr-rest 0.0015 --compile \
        --seed "$1" --workers 1 --precision bf16
    cp -r "$WORK/run$1/checkpoint" "$WORK/mean$1"
    grown "$2" "$WORK/run$1" "$WORK/mean$1"
}
mean "$WORK/run8/checkpoint" "$WORK/run10/checkpoint" "$WORK/mean10"
# Fourth session: run11 from that mean (the code of d3e7304), 1,821 steps, 16.8 M rows, beside measuring.
train8 --out "$WORK/run11" --init "$WORK/mean10" --minutes 95 --cooldown 0.7 --warmup 30 --compile --seed 11 --workers 1
mean "$WORK/mean10" "$WORK/run11/checkpoint" "$WORK/mean11"
# Fifth session: run12 from that mean (the code of 1104a99), 1,172 steps, 10.8 M rows, beside measuring.
train8 --out "$WORK/run12" --init "$WORK/mean11" --minutes 62 --cooldown 0.7 --warmup 30 --compile --seed 12 --workers 1
mean "$WORK/mean11" "$WORK/run12/checkpoint" "$WORK/mean12"
# Seventh session: run15 from that mean (the code of a4d4fe0), 1,774 steps, 16.3 M rows, beside measuring.
train8 --out "$WORK/run15" --init "$WORK/mean12" --minutes 95 --cooldown 0.7 --warmup 30 --compile --seed 15 --workers 1
mean "$WORK/mean12" "$WORK/run15/checkpoint" "$WORK/mean15"
# 2026-11-29: two blocks more (run17, the code of f2d514c, rebased since, where `mini` was called tiny), 1,869 steps, 17.2 M
# rows, beside measuring, in bf16 from step 360 on. What ships is the mean of both, but for the blocks that were added:
# those do nothing in the shallower one, and half of what they have learned is worth less than all of it.
train8 --preset mini --out "$WORK/run17" --init "$WORK/mean15" --minutes 95 --cooldown 0.7 --warmup 30 --compile --seed 17 --workers 1
cp -r "$WORK/run17/checkpoint" "$WORK/mean17"
grown "$WORK/mean15" "$WORK/run17" "$WORK/mean17"
# Ninth session: run18 from that (the code of f1674d9), all in bf16, 2,001 steps, 18.4 M rows, beside five developers. Its
# shards were made by that code from the same corpus: pieces in 6/8 and swung ones have their beats. Of both, the mean,
# with run18's in the float32 of its state.
python train/prepare.py "$CORPUS/corpus" "$WORK/shards9" --annotations "$CORPUS/pop909-annotations"
torchrun --standalone --nproc-per-node 2 train/train.py --preset mini --mix shipped --data "$WORK/shards9" --out "$WORK/run18" \
    --init "$WORK/mean17" --minutes 95 --cooldown 0.7 --warmup 30 --compile --seed 18 --workers 1 --precision bf16
cp -r "$WORK/run18/checkpoint" "$WORK/mean"
grown "$WORK/mean17" "$WORK/run18" "$WORK/mean"
# Eleventh session: two blocks more, at half the rate (run20, the code of 83b4a18 with `mini` of eight blocks), 1,200 steps,
# 11.1 M rows, beside five developers, on shards by that code: pieces with music in common share a split. Of both the mean,
# but for the blocks that were added.
leg 20 "$WORK/mean" 95
# Twelfth session: run21 from that, the same again (the code of 3ca9fb7), 1,545 steps, 14.2 M rows, beside five developers, on
# shards by that code: players to a click have their beats. Of both the mean.
leg 21 "$WORK/mean20" 100
# Thirteenth session: run22, the same again (the code of f91f720), 2,416 steps, 22.3 M rows, beside three developers, on shards
# as run21's. Of both the mean.
leg 22 "$WORK/mean21" 105
# Fourteenth session: run23, the same again (the code of a7865f6), 1,757 steps, 16.2 M rows, beside three developers, on shards
# as run21's. Of both the mean.
leg 23 "$WORK/mean22" 105
# Fifteenth session, on shards by the code of 531962e: typed pieces of small notes have their beats. The head is told of the
# notes around what it draws: two legs while that was being found, 359 and 297 steps, 6.0 M rows, at the peak of their rates,
#   4e165ab  --out run25 --init mean23            stopped at step 359: no intervals yet
#   b92c385  --out run26 --init run25/float32     stopped at step 297: the new tables counted once
# both with `leg`'s other flags and --seed 24 and 26, beside helpers; then, by the code of c2cf0be, from run26's float32
# weights, of which `soon` and `line` were divided by 4 and `interval` by 16 (there they count by as much), 1,079 steps, 9.9 M
# rows. No mean: half of a network that was told nothing around does not go with them.
python train/prepare.py "$CORPUS/corpus" "$WORK/shards27" --annotations "$CORPUS/pop909-annotations"
torchrun --standalone --nproc-per-node 2 train/train.py --preset mini --mix shipped --data "$WORK/shards27" --out "$WORK/run27" \
    --init "$WORK/run26/float32" --minutes 62 --cooldown 0.7 --warmup 30 --lr 0.002 --lr-rest 0.0015 --compile --seed 27 \
    --workers 1 --precision bf16
# Sixteenth session: run28 from that (the code of 9b84469), 794 steps, 7.3 M rows, beside three helpers. Of both the mean.
leg 28 "$WORK/run27/checkpoint" 105
# Seventeenth session: run30 from that (the code of 5d6c143: echoes), 742 steps, 6.8 M rows, beside three helpers, its weights
# copied every 25 steps. Of the ten copies before the last the mean, and of this 0.65 with 0.35 of what it began with.
watched() { # a copy of a run's weights whenever they are saved
    python - "$@" <<'WATCHED' &
import sys
import time
from pathlib import Path
import torch

run, out = map(Path, sys.argv[1:])
out.mkdir(exist_ok=True)
last = 0
while True:
    time.sleep(5)
    if (run / "state.pt").exists() and (now := (run / "state.pt").stat().st_mtime_ns) != last:
        state, last = torch.load(run / "state.pt", weights_only=True), now
        torch.save(state["model"], out / f"{state['step']:05d}.pt")
WATCHED
}
watched "$WORK/run30" "$WORK/copies30"
torchrun --standalone --nproc-per-node 2 train/train.py --preset mini --mix shipped --data "$WORK/shards28" --out "$WORK/run30" \
    --init "$WORK/mean28" --minutes 70 --cooldown 0.7 --warmup 30 --lr 0.002 --lr-rest 0.0015 --compile --seed 30 \
    --workers 1 --save-every 25 --precision bf16
kill %1
cp -r "$WORK/mean28" "$WORK/mean30"
python - "$WORK" <<'BLEND'
import sys
from pathlib import Path
import torch
from safetensors.torch import load_file, save_file

work = Path(sys.argv[1])
old = load_file(work / "mean28/model.safetensors")
copies = [torch.load(path, weights_only=True) for path in sorted((work / "copies30").iterdir())[-11:-1]]
new = {k: 0.35 * old[k].float() + 0.65 * sum(copy[k].float() for copy in copies) / 10 for k in old}
save_file({k: v.to(torch.bfloat16) for k, v in new.items()}, work / "mean30/model.safetensors", metadata={"format": "pt"})
BLEND

# Eighteenth session: run31 from that (the code of 3ea4175: the trainer averages by itself), 639 steps, 5.9 M rows, beside three
# helpers: first with --minutes 72, then resumed.
torchrun --standalone --nproc-per-node 2 train/train.py --preset mini --mix shipped --data "$WORK/shards28" --out "$WORK/run31" \
    --init "$WORK/mean30" --init-share 0.35 --average 0.3 --minutes 100 --cooldown 0.7 --warmup 30 --lr 0.002 \
    --lr-rest 0.0015 --compile --seed 31 --workers 1 --save-every 25 --precision bf16

# Twenty-third session: run32 from that (the code of 17211e1), 826 steps, 7.6 M rows, beside two helpers. It was run with
# --init-share 0.35, and the mean taken with what it began with, which is the same.
torchrun --standalone --nproc-per-node 2 train/train.py --preset mini --mix shipped --data "$WORK/shards28" --out "$WORK/run32" \
    --init "$WORK/run31/checkpoint" --init-share 0.675 --average 0.3 --minutes 80 --cooldown 0.7 --warmup 30 --lr 0.002 \
    --lr-rest 0.0015 --compile --seed 32 --workers 1 --save-every 25 --precision bf16

python train/evaluate.py "$WORK/run32/checkpoint" "$WORK/shards28" --pieces 40
python train/judge.py "$WORK/run32/checkpoint" "$WORK/shards28"
# The index holds what any leg has seen: in a copy of shards20, the groups of pieces of which shards9 had one in `train` are
# in `train` (24 pieces).
python - "$WORK/shards9" "$WORK/shards20" "$WORK/seen" <<'SEEN'
import json
import shutil
import sys

old, new, seen = sys.argv[1:]
shutil.copytree(new, seen)
before, now = (json.load(open(f"{folder}/manifest.json")) for folder in (old, new))
trained = {(p["source"], p["name"]) for p in before["pieces"] if p["split"] == "train"}
groups = {p["group"] for p in now["pieces"] if (p["source"], p["name"]) in trained}
for piece in now["pieces"]:
    if piece["group"] in groups:
        piece["split"] = "train"
json.dump(now, open(f"{seen}/manifest.json", "w"))
SEEN
python train/memorise.py "$WORK/seen" -o "$WORK/run32/checkpoint/memory.npz"
# The network of chords, by the code of a157a25: 57 minutes on one shared core.
python train/chordist.py "$WORK/shards28" -o "$WORK/run32/checkpoint/chordist.safetensors" --seed 1
