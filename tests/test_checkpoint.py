"""Laws of checkpoints: what was saved is what is loaded. (What cannot be loaded: test_bad_input.py.)"""

import json

import numpy as np
import pytest
import torch
from safetensors.torch import load_file, save_file

from anticipation.errors import CheckpointError, RequestError
from anticipation.model import around, checkpoint, gpt2
from anticipation.model.event import Config, EventModel
from anticipation.model.features import target_chart
from anticipation.model.stream import COLUMNS


@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16])
def test_what_was_saved_is_loaded(random_model, tmp_path, dtype):
    checkpoint.save(random_model(), tmp_path / "x", dtype=dtype)
    loaded = checkpoint.load(tmp_path / "x")
    assert loaded.config == random_model().config and not loaded.training
    for (name, saved), (other, back) in zip(
        random_model().state_dict().items(), loaded.state_dict().items(), strict=True
    ):
        assert name == other and back.dtype == torch.float32 and torch.equal(saved.to(dtype).float(), back)
    assert not any(weights.requires_grad for weights in loaded.parameters())


def test_a_checkpoint_is_two_files_that_cannot_execute(random_checkpoint):
    assert sorted(path.name for path in random_checkpoint.iterdir()) == ["config.json", "model.safetensors"]
    config = json.loads((random_checkpoint / "config.json").read_text())
    assert config["card"] == {"name": "random"} and config["family"] == "event" and config["steps"] == 100


def test_the_fingerprint_is_of_the_weights(random_model, random_checkpoint, tmp_path):
    checkpoint.save(random_model(), tmp_path / "same", card={"name": "otherwise"})
    checkpoint.save(random_model(seed=1), tmp_path / "other")
    one, same, other = (checkpoint.fingerprint(f) for f in (random_checkpoint, tmp_path / "same", tmp_path / "other"))
    assert one == same == checkpoint.load(random_checkpoint).fingerprint != other and len(one) == 12


def test_saving_over_a_checkpoint_replaces_it_whole(random_model, tmp_path, monkeypatch):
    checkpoint.save(random_model(), tmp_path / "x")
    before = checkpoint.fingerprint(tmp_path / "x")

    def full(*_, **__):
        raise OSError(28, "No space left on device")

    with monkeypatch.context() as patch:
        patch.setattr(checkpoint, "save_file", full)
        with pytest.raises(CheckpointError, match="^cannot write the checkpoint .*No space"):
            checkpoint.save(random_model(seed=1), tmp_path / "x")
    assert checkpoint.load(tmp_path / "x").fingerprint == before and len(list((tmp_path / "x").iterdir())) == 2
    checkpoint.save(random_model(seed=1), tmp_path / "x")
    assert checkpoint.fingerprint(tmp_path / "x") != before


def test_nothing_of_an_older_checkpoint_is_read_with_a_newer_one(random_model, tmp_path):
    first, second = (gpt2.GPT2(gpt2.Config(1, 32, 1)) for _ in range(2))
    checkpoint.save(first, tmp_path, hugging_face=True)
    (tmp_path / "model.safetensors").rename(tmp_path / "old.safetensors")
    (tmp_path / "model.safetensors.index.json").write_text('{"weight_map": {"x": "old.safetensors"}}')
    checkpoint.save(second, tmp_path, hugging_face=True, dtype=torch.float32)
    loaded = checkpoint.load(tmp_path)
    assert torch.equal(loaded.wte.weight, second.wte.weight)


def test_a_checkpoint_from_before_widths_were_told_has_as_many_heads_as_blocks(tmp_path, random_model):
    checkpoint.save(random_model(), tmp_path)
    config = json.loads((tmp_path / "config.json").read_text())
    assert config.pop("heads") == 1
    (tmp_path / "config.json").write_text(json.dumps(config))
    assert checkpoint.load(tmp_path).config == random_model().config


def test_a_checkpoint_from_before_notes_around_were_told_says_what_it_said(tmp_path, random_model):
    new = ("soon", "line", "interval", "weigh")
    model = EventModel(random_model().config)
    model.load_state_dict(random_model().state_dict())
    with torch.no_grad():
        for part in (model.soon.weight, model.line.weight, model.interval):
            part.zero_()
    checkpoint.save(model, tmp_path, dtype=torch.float32)
    config = json.loads((tmp_path / "config.json").read_text())
    config = {name: value for name, value in config.items() if name not in ("soon", "line", "intervals")}
    (tmp_path / "config.json").write_text(json.dumps(config))
    older = {name: p for name, p in load_file(tmp_path / "model.safetensors").items() if not name.startswith(new)}
    assert len(older) < len(model.state_dict())
    save_file(older, tmp_path / "model.safetensors")
    found = checkpoint.load(tmp_path)
    rows = np.zeros((3, len(COLUMNS)), dtype=np.int64)
    told = [torch.from_numpy(x) for x in (np.zeros((3, 2), dtype=np.int64), target_chart(rows), *around.told(rows))]
    state = torch.randn(3, 64)
    assert torch.equal(found.field(2, state, *told), model.field(2, state, *told))


def test_a_new_model_draws_every_class_alike():
    """So that the first loss is the entropy of the alphabet, and nothing has to be unlearnt."""
    model = EventModel(Config(depth=1, window=32))
    states = model.heads(torch.randn(3, 64))
    assert not any(head.weight.any() or head.bias.any() for head in model.logits) and states.shape == (3, 5, 64)


@pytest.mark.parametrize("name, words", [("foo", "say cpu"), ("meta", "say cpu"), ("cuda:99", "CUDA")])
def test_a_device_that_is_not_there_is_one_line(random_checkpoint, name, words):
    """Of every script and command that has --device."""
    with pytest.raises(RequestError, match=f"^no device '{name}': .*{words}"):
        checkpoint.load(random_checkpoint, name)
