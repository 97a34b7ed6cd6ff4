#!/usr/bin/env bash
# sbatch train/slurm.sh --preset base --data SHARDS --out RUN [flags of train.py]
# One node as it stands; more with sbatch --nodes N (the batch is shared by all GPUs, so it need not change).
#SBATCH --job-name=anticipation
#SBATCH --nodes=1
#SBATCH --ntasks-per-node=1
#SBATCH --gpus-per-node=8
#SBATCH --cpus-per-task=64
#SBATCH --time=24:00:00
#SBATCH --signal=TERM@120
#SBATCH --requeue
#SBATCH --output=%x-%j.log
#SBATCH --open-mode=append
# SIGTERM comes two minutes before the time is up, and on preemption: train.py saves its state and stops. A job that was
# preempted, or lost its node, Slurm queues again itself; one whose time was up is to be submitted again. Either way
# --resume goes on with the very next step.
set -euo pipefail
cd "${SLURM_SUBMIT_DIR:-.}"
export OMP_NUM_THREADS=1
export TORCH_ELASTIC_SHUTDOWN_TIMEOUT=110 # seconds to save in, of those two minutes; torchrun kills after 30 otherwise
GPUS=${SLURM_GPUS_ON_NODE:-8}
HEAD=$(scontrol show hostnames "$SLURM_JOB_NODELIST" | head -n 1)
# srun has not taken over --cpus-per-task since Slurm 22.05: all loaders would share one core.
exec srun --kill-on-bad-exit=1 --cpus-per-task "${SLURM_CPUS_PER_TASK:-64}" torchrun --nnodes "$SLURM_NNODES" --nproc-per-node "$GPUS" \
  --rdzv-backend c10d --rdzv-endpoint "$HEAD:29500" --rdzv-id "$SLURM_JOB_ID" \
  train/train.py --resume --compile "$@"
