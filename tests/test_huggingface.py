"""The public weights' folders, as Hugging Face's `transformers` writes and reads them: every form gives its logits."""

import json
import sys

import numpy as np
import pytest
import torch
from safetensors.torch import save_file

import anticipation
from anticipation.errors import CheckpointError
from anticipation.model import amt, checkpoint, huggingface

pytestmark = pytest.mark.filterwarnings("ignore")  # theirs
transformers = pytest.importorskip("transformers")
IDS = torch.randint(0, len(amt.VOCABULARY), (64,), generator=torch.Generator().manual_seed(0))


@pytest.fixture(scope="module")
def theirs():
    """The published configuration but for its size; biases too, and large enough that every term shows."""
    torch.manual_seed(1)
    config = transformers.GPT2Config(
        vocab_size=55028, n_positions=1024, n_embd=32, n_layer=3, n_head=4, scale_attn_by_inverse_layer_idx=True
    )
    model = transformers.GPT2LMHeadModel(config).eval()
    for p in model.parameters():
        torch.nn.init.normal_(p, 0, 0.2)
    return model


@pytest.fixture(scope="module")
def folder(theirs, tmp_path_factory):
    path = tmp_path_factory.mktemp("hub") / "music-small-800k"
    theirs.save_pretrained(path)
    return path


def as_bin(theirs, path):
    theirs.config.save_pretrained(path)
    torch.save(theirs.state_dict(), path / "pytorch_model.bin")  # with lm_head.weight, as the published ones


def as_sharded_bin(theirs, path):
    theirs.config.save_pretrained(path)
    state = theirs.state_dict()
    names = {name: f"pytorch_model-0000{i % 2 + 1}-of-00002.bin" for i, name in enumerate(state)}
    for file in set(names.values()):
        torch.save({name: state[name] for name in state if names[name] == file}, path / file)
    (path / "pytorch_model.bin.index.json").write_text(json.dumps({"metadata": {}, "weight_map": names}))


FORMS = {
    "safetensors": lambda theirs, path: theirs.save_pretrained(path),
    "sharded": lambda theirs, path: theirs.save_pretrained(path, max_shard_size="4MB"),
    "bin": as_bin,
    "sharded bin": as_sharded_bin,
    "the bare trunk": lambda theirs, path: theirs.transformer.save_pretrained(path),
}


@pytest.mark.parametrize("form", FORMS)
def test_every_form_gives_the_logits_of_transformers(theirs, tmp_path, form):
    FORMS[form](theirs, tmp_path)
    model = anticipation.load(tmp_path)
    logits = model.logits(IDS.tolist())
    assert logits.dtype == torch.float32 and logits.shape == (64, 55028)
    with torch.no_grad():
        assert (logits - theirs(IDS[None]).logits[0]).abs().max() < 1e-4


@pytest.mark.parametrize("cuts", [[64], [1, 63], [10, 10, 44], [1] * 64])
def test_cached_logits_are_those_of_transformers(theirs, folder, cuts):
    """Fed piece by piece, after a longer stream that is cut back."""
    model = anticipation.load(folder)
    cache = model.cache(1)
    with torch.no_grad():
        model.trunk(IDS[None].flip(1), cache)  # what is there and does not count
        states, at = [], 0
        for count in cuts:
            cache.length = [at]
            states.append(model.trunk(IDS[None, at : at + count], cache))
            at += count
        assert (model.head(torch.cat(states, 1)) - theirs(IDS[None]).logits).abs().max() < 1e-4


def test_there_and_back_every_number_is_the_same(theirs, folder, tmp_path, anticipate):
    """Theirs to ours and back to theirs, as `transformers` loads it."""
    for source, target, form in ((folder, "ours", "ours"), (tmp_path / "ours", "back", "huggingface")):
        assert anticipate("convert", source, "-o", tmp_path / target, "--to", form)[0] == 0
    back = transformers.GPT2LMHeadModel.from_pretrained(tmp_path / "back").eval()
    for (name, before), (other, after) in zip(theirs.state_dict().items(), back.state_dict().items(), strict=True):
        assert name == other and torch.equal(before, after)
    assert back.config.scale_attn_by_inverse_layer_idx and torch.equal(theirs(IDS[None]).logits, back(IDS[None]).logits)
    ours = anticipation.load(tmp_path / "ours")
    np.testing.assert_array_equal(ours.logits(IDS), anticipation.load(folder).logits(IDS))
    code, out, _ = anticipate("info", tmp_path / "ours", "--json")
    facts = json.loads(out)
    assert code == 0 and facts["family"] == "amt" and facts["vocabulary"] == 55028
    assert facts["parameters"] == sum(p.numel() for p in ours.parameters())


def test_info_shows_what_it_is(folder, anticipate):
    code, out, _ = anticipate("info", folder, "--json")
    facts = json.loads(out)
    assert code == 0 and (facts["format"], facts["layers"], facts["width"]) == ("Hugging Face", 3, 32)
    assert facts["anticipation"] is True and facts["fingerprint"] == anticipation.load(folder).fingerprint


def test_the_tasks_run_on_it(folder, melody, anticipate, tmp_path):
    for task, *more in (
        ("accompany", "--instruments", "piano,drums", "--chords", "| C | F | G | C |"),
        ("infill", "--start", "4", "--end", "6"),
        ("continue", "--seconds", "2"),
        ("vary", "--end", "3"),
        ("accompany", "--takes", "2", "--end", "4", "--scale", "C major", "--polyphony", "1"),
    ):
        line = (task, melody, "-o", tmp_path / f"{task}.mid", "--force", "--seed", "1", *more)
        code, _, err = anticipate(*line, model=folder)
        assert code == 0, err
    before, after = anticipation.read(melody).notes, anticipation.read(tmp_path / "accompany-1.mid").notes
    assert len(after) > len(before) and all(row in set(after) for row in before)


def test_a_name_with_ar_in_it_takes_no_controls(theirs, melody, tmp_path, anticipate):
    theirs.save_pretrained(tmp_path / "music-small-ar-800k")
    code, _, err = anticipate("accompany", melody, "-o", tmp_path / "x.mid", model=tmp_path / "music-small-ar-800k")
    assert code == 2 and "trained without anticipation" in err and not (tmp_path / "x.mid").exists()
    line = ("continue", melody, "-o", tmp_path / "x.mid", "--seconds", "1")
    assert anticipate(*line, model=tmp_path / "music-small-ar-800k")[0] == 0


class Evil:
    def __reduce__(self):
        return (sys.exit, (3,))


def edited(**changes):
    def edit(path):
        config = json.loads((path / "config.json").read_text())
        (path / "config.json").write_text(json.dumps(config | changes))

    return edit


def pickled(path):
    (path / "model.safetensors").unlink()
    torch.save({"wte.weight": Evil()}, path / "pytorch_model.bin")


def cut(path):
    data = (path / "model.safetensors").read_bytes()
    (path / "model.safetensors").write_bytes(data[: len(data) // 2])


def another_head(path):
    state = huggingface.tensors_of(anticipation.load(path))
    save_file(state | {"lm_head.weight": state["transformer.wte.weight"] + 1}, path / "model.safetensors")


def numbered(path):
    (path / "model.safetensors").unlink()
    torch.save({1: torch.zeros(2)}, path / "pytorch_model.bin")


def empty(path):
    (path / "model.safetensors").unlink()
    (path / "pytorch_model.bin").write_bytes(b"")


def no_program(path):
    """It takes from a stack on which nothing is."""
    (path / "model.safetensors").unlink()
    (path / "pytorch_model.bin").write_bytes(b"\x80\x02e.")


BROKEN = {
    "of words": (edited(vocab_size=50257), "vocab_size is 50257"),
    "interarrival": (edited(vocab_size=34025), "an interarrival model"),
    "another activation": (edited(activation_function="relu"), "activation_function is relu"),
    "another depth": (edited(n_layer=4), "do not fit"),
    "another width": (edited(n_embd=48), "do not fit"),
    "no heads": (edited(n_head=0), "cannot be"),
    "a program": (pickled, "missing or broken"),
    "tensors by number": (numbered, "not tensors by name"),
    "an empty file": (empty, "missing or broken"),
    "a pickle of nothing": (no_program, "missing or broken"),
    "cut short": (cut, "missing or broken"),
    "no weights": (lambda path: (path / "model.safetensors").unlink(), "model.safetensors is missing"),
    "another head": (another_head, "not its embedding"),
    "an index of nothing": (lambda path: (path / "model.safetensors.index.json").write_text("[]"), "is broken"),
}


@pytest.mark.parametrize("name", BROKEN)
def test_what_cannot_be_run_is_one_line(theirs, tmp_path, name):
    spoil, message = BROKEN[name]
    theirs.save_pretrained(tmp_path / "x")
    spoil(tmp_path / "x")
    with pytest.raises(CheckpointError, match=message) as caught:
        checkpoint.load(tmp_path / "x")
    assert "\n" not in str(caught.value)


def test_a_shard_that_is_missing_is_named(theirs, tmp_path):
    theirs.save_pretrained(tmp_path, max_shard_size="4MB")
    sorted(tmp_path.glob("model-*.safetensors"))[1].unlink()
    with pytest.raises(CheckpointError, match="model-00002-of-.* is missing"):
        checkpoint.load(tmp_path)


def test_a_name_on_the_hub_is_fetched(monkeypatch, folder, tmp_path):
    """The library's own download, answered from a folder; then refused, as where there is no network."""
    hub = pytest.importorskip("huggingface_hub")
    asked = []
    monkeypatch.setattr(hub, "snapshot_download", lambda name, **_: asked.append(name) or str(folder))
    assert anticipation.load("stanford-crfm/music-small-800k").config.layers == 3
    assert asked == ["stanford-crfm/music-small-800k"]

    def refused(*_, **__):
        raise OSError("no route to host\nand more lines")

    monkeypatch.setattr(hub, "snapshot_download", refused)
    with pytest.raises(CheckpointError, match=r"is this machine online\? \(no route to host\)$"):
        anticipation.load("stanford-crfm/music-small-800k")
    monkeypatch.setitem(sys.modules, "huggingface_hub", None)
    with pytest.raises(CheckpointError, match="pip install 'anticipation-copilot"):
        anticipation.load("stanford-crfm/music-small-800k")
    for path in (tmp_path / "none", "./none/here", "none", "a/b/c"):
        with pytest.raises(CheckpointError, match="no checkpoint at"):
            anticipation.load(path)
