"""The training step of every preset on a GPU that is not there: devices and types are followed through the real
`Engine.step`, by torch's fake tensors; nothing is computed, and the backward pass is left out. By hand, with a torch
that is built for CUDA: python tests/real/pretended_gpu.py SHARDS [PRESET ...]"""

import sys
from dataclasses import replace
from itertools import product
from pathlib import Path
from unittest import mock

import torch
from torch._subclasses.fake_tensor import FakeTensor, FakeTensorMode

ROOT = Path(__file__).parents[2]
sys.path[:0] = [str(ROOT), str(ROOT / "train")]
from engine import Engine, Layout, Place  # noqa: E402
from recipes import MIX, PRESETS, Schedule  # noqa: E402

from anticipation.data.shards import Shards  # noqa: E402

GPU = torch.device("cuda", 0)


def network(preset, mode: FakeTensorMode):
    """On the GPU as `Module.to` would move it, which fake parameters do not survive."""
    with GPU:
        net = preset.network()
    for module in net.modules():
        module._buffers = {name: mode.from_tensor(buffer).to(GPU) for name, buffer in module._buffers.items()}
    net.to = lambda device: net
    return net


def two_steps(name: str, shards: Shards, layout: Layout, optimizer: str) -> None:
    """Raises AssertionError, or RuntimeError where tensors of two devices meet."""
    preset, mode = PRESETS[name], FakeTensorMode(allow_non_fake_inputs=True)
    recipe, settings = preset.recipe, replace(preset.settings, batch=2, optimizer=optimizer)
    data = recipe.data(shards, settings, 0, MIX)
    with mode:
        net = network(preset, mode)
        engine = Engine(net, recipe, Place(GPU), layout, settings, Schedule(settings.schedule, 10), 0)
    batch = {column: torch.from_numpy(values) for column, values in data[0].items()}
    rows, parts = int(recipe.count(batch)), [recipe.told(part) for part in engine.parts(batch)]
    fake = [{column: mode.from_tensor(values) for column, values in part.items()} for part in parts]
    engine.recipe = mock.Mock(wraps=recipe, fields=recipe.fields, tokens=recipe.tokens, told=lambda part: part,
                              count=lambda batch: rows)  # fmt: skip
    engine.parts = lambda batch: fake

    def backward(loss: FakeTensor) -> None:
        assert loss.device == GPU
        for parameter in net.parameters():
            parameter.grad = torch.zeros_like(parameter)

    with mode, mock.patch.object(torch.Tensor, "backward", backward):
        made = [engine.step(step, batch, 0.1)[1] for step in range(2)]
    assert all(made) and all(p.device == GPU and p.dtype == torch.float32 for p in net.parameters())
    states = [state for each in engine.optimizers for state in each.state.values()]
    assert all(value.device == GPU for state in states for value in state.values() if isinstance(value, torch.Tensor))


def main(folder: str, *names: str) -> None:
    shards = Shards(folder)
    for name, recompute, optimizer in product(
        names or ("mini", "small", "base", "amt-small"), (0, 1), ("muon", "adamw")
    ):
        two_steps(name, shards, Layout(recompute=bool(recompute), micro=recompute), optimizer)
        print(f"torch {torch.__version__}: {name}, {optimizer}{', recomputed' * recompute}: one device", flush=True)


if __name__ == "__main__":
    with (
        mock.patch.object(torch.Tensor, "pin_memory", lambda self: self),
        mock.patch.object(torch, "manual_seed"),
        mock.patch.object(FakeTensor, "tolist", lambda self: [1.0] * self.numel()),  # what the guard is told
        mock.patch("torch.cuda.amp.common.amp_definitely_not_available", return_value=False),
        mock.patch("torch.cuda.is_bf16_supported", return_value=True),
    ):
        main(*sys.argv[1:])
