"""Laws of fine-tuning: it proves itself on music that it never saw, and keeps nothing that does not."""

import json
import os
import shutil
import sys
import tempfile

import numpy as np
import pytest
import torch

from anticipation.data import finetune
from anticipation.data.folder import Folder, load_plain
from anticipation.data.memory import Memory
from anticipation.errors import RequestError
from anticipation.model import checkpoint, gpt2
from anticipation.music.notes import Notes
from anticipation.score.midi import Score, write


@pytest.fixture(scope="module")
def pieces(music_folder) -> Folder:
    """Twelve files of one kind, one of them twice."""
    return Folder.read(music_folder / "pop909", load_plain)


@pytest.fixture
def ticking(monkeypatch):
    """A clock that ticks a second whenever it is asked: 0.2 minutes are a dozen steps."""
    now = iter(range(10**6))
    monkeypatch.setattr(finetune.time, "perf_counter", lambda: float(next(now)))


def few(pieces: Folder, tmp_path, count: int) -> Folder:
    for piece in pieces.pieces[:count]:
        shutil.copy(pieces.folder / piece.name, tmp_path / piece.name)
    return Folder.read(tmp_path, load_plain)


def test_whole_files_are_held_out_and_copies_are_not_both_kept(pieces):
    divided, words = finetune.divide(pieces, 0)
    train, valid, proof = ({p.name for p in divided.split(name)} for name in ("train", "valid", "proof"))
    assert (len(train), len(valid | proof), words) == (10, 2, "2 of 12 files") and not train & (valid | proof)
    assert len(valid) == len(proof) == 1, "one chooses the weights, the other is looked at once"
    assert len({"001__001.mid", "zzz.mid"} & (train | valid | proof)) == 1
    assert finetune.divide(pieces, 0)[0].pieces == divided.pieces != finetune.divide(pieces, 1)[0].pieces


def written(folder, name: str, notes: Notes) -> None:
    write(Score.from_notes(notes), folder / f"{name}.mid")


def tune(seed: int, changed: float = 0.0) -> Notes:
    """A melody of 120 notes; a share of them is changed."""
    rng, other = np.random.default_rng(seed), np.random.default_rng(99)
    pitch = 60 + np.cumsum(rng.integers(-4, 5, 120)) % 17 + (other.random(120) < changed)
    return Notes.of((0.3 * i, 0.3, int(p), 0, 60 + i % 50) for i, p in enumerate(pitch))


def test_what_is_held_out_is_not_known_in_another_key_or_another_take(tmp_path):
    """Five tunes, each also transposed and slower, as a copy that is left out; five others in two takes each, which are
    held out together or not at all."""
    for i in range(5):
        own = tune(i)
        written(tmp_path, f"a{i}", own)
        written(tmp_path, f"b{i}", own.replace(onset=own.onset * 1.2, duration=own.duration * 1.2).transpose(3))
        written(tmp_path, f"c{i}-1", tune(10 + i))
        written(tmp_path, f"c{i}-2", tune(10 + i, changed=0.05))
    pieces = Folder.read(tmp_path, load_plain)
    for seed in range(8):
        divided, words = finetune.divide(pieces, seed)
        assert [line.split(":")[0] for line in divided.skipped] == [f"b{i}.mid" for i in range(5)]
        assert divided.skipped[0] == "b0.mid: the same music as a0.mid"
        where = {p.name[:2] + split for split in ("train", "valid", "proof") for p in divided.split(split)}
        assert len(where) == 10, "a tune is in one split only"
        assert len(divided.split("train")) in (12, 13) and len(divided.split("valid")) and "of 15 files" in words


def test_takes_of_one_piece_are_no_files_that_differ(tmp_path):
    for i in range(6):
        written(tmp_path, str(i), tune(0, changed=0.02 * i))
    divided, words = finetune.divide(Folder.read(tmp_path, load_plain), 0)
    assert "fewer than 5 that differ" in words and not divided.split("proof")


def test_of_few_files_the_ends_are_held_out(pieces, tmp_path):
    divided, words = finetune.divide(few(pieces, tmp_path, 2), 0)
    assert words.startswith("the last 20% of each file")
    for begin, end in zip(divided.split("train"), divided.split("valid"), strict=True):
        whole = pieces.notes(next(p for p in pieces.pieces if p.name == begin.name))
        cut = 0.8 * whole.audible.end
        assert (divided.notes(begin).onset < cut).all() and np.allclose(
            divided.notes(end).onset + cut, whole.onset[whole.onset >= cut]
        )


def test_files_that_are_all_the_same_are_one(pieces, tmp_path):
    for i in range(6):
        shutil.copy(pieces.folder / pieces.pieces[0].name, tmp_path / f"{i}.mid")
    divided, words = finetune.divide(Folder.read(tmp_path, load_plain), 0)
    assert len(divided.split("train")) == 1 and words.endswith("fewer than 5 that differ")


def test_it_gets_better_on_what_it_never_saw(random_model, pieces):
    base = random_model()
    before = {name: p.clone() for name, p in base.state_dict().items()}
    said = []
    net, outcome = finetune.finetune(base, pieces, steps=30, say=said.append)
    assert outcome.better and outcome.after < 0.8 * outcome.before and 0 < outcome.step <= outcome.steps == 30
    first, last = outcome.proof
    assert last < 0.8 * first and f"{first:.3f} -> {last:.3f} in files that chose nothing" in str(outcome)
    assert said[0] == "left out: zzz.mid: the same music as 001__001.mid"
    assert said[1].startswith("before: ") and "2 of 12 files" in said[1] and len(said) == 14
    assert all(torch.equal(p, before[name]) for name, p in base.state_dict().items())
    assert not net.training and not any(p.requires_grad for p in net.parameters())


def test_the_best_is_kept_and_not_the_last(random_model, pieces, monkeypatch):
    """What is held out gets dearer after the third look: it goes back to those weights three times, and stops early."""
    costs, seen = iter([9.0, 8.0, 7.0, 6.0, *[7.0] * 9]), []

    def bits(net, held):
        seen.append({name: p.clone() for name, p in net.state_dict().items()})
        return next(costs)

    monkeypatch.setattr(finetune, "bits", bits)
    net, outcome = finetune.finetune(random_model(), pieces, steps=12)
    assert (outcome.before, outcome.after, outcome.step, outcome.steps) == (9.0, 6.0, 3, 10)
    assert all(torch.equal(p, seen[3][name]) for name, p in net.state_dict().items())
    assert not all(torch.equal(p, seen[10][name]) for name, p in net.state_dict().items())


def test_what_is_kept_lies_between_the_base_and_what_was_trained(random_model, pieces, monkeypatch):
    monkeypatch.setattr(finetune, "bits", lambda net, held: 1.0)
    base = random_model()
    several = []
    for stays in (1.0, 0.5, 0.0):
        monkeypatch.setattr(finetune, "STAYS", stays)
        several.append(finetune.finetune(base, pieces, steps=2)[0].state_dict())
    for name, weight in base.state_dict().items():
        same, half, other = (weights[name] for weights in several)
        assert torch.equal(same, weight) and torch.allclose(half, (weight + other) / 2, atol=1e-6)
        assert not torch.equal(other, weight)


def test_luck_in_choosing_is_no_proof(random_model, pieces, tmp_path, monkeypatch):
    """What chose the weights got cheaper, what chose nothing did not: that is said. Where too few files are held out to
    have both, that is said too."""
    monkeypatch.setattr(finetune, "LOOKS", 2)
    costs = iter([9.0, 8.0, 8.0, 5.0, 5.1])
    monkeypatch.setattr(finetune, "bits", lambda net, held: next(costs))
    outcome = finetune.finetune(random_model(), pieces, steps=2)[1]
    assert (outcome.after, outcome.proof) == (8.0, (5.0, 5.1))
    assert str(outcome).endswith("5.000 -> 5.100 in files that chose nothing: no better there")
    costs = iter([9.0, 8.0, 8.0])
    outcome = finetune.finetune(random_model(), few(pieces, tmp_path, 5), steps=2)[1]
    assert outcome.proof is None and outcome.better and "optimistic" in str(outcome)


def test_the_command_writes_a_checkpoint_that_says_where_it_comes_from(
    anticipate, random_checkpoint, pieces, tmp_path, monkeypatch, ticking
):
    monkeypatch.setattr(finetune, "LOOKS", 2)
    line = ["finetune", "--model", random_checkpoint, "--threads", "1", pieces.folder, "-o", tmp_path / "mine"]
    code, out, told = anticipate(*line, "--minutes", "0.2", "--json")
    facts = json.loads(out)
    assert "before: " in told and code == 0 and facts["better"] and facts["after"] < facts["before"]
    card = checkpoint.read_config(tmp_path / "mine")["card"]
    assert card["finetuned_from"] == checkpoint.fingerprint(random_checkpoint) and card["files"] == 13
    assert checkpoint.load(tmp_path / "mine").config == checkpoint.load(random_checkpoint).config
    assert {path.name: path.stat().st_mode & 0o444 for path in (tmp_path / "mine").iterdir()} == dict.fromkeys(
        ("config.json", "memory.npz", "model.safetensors"), 0o444
    )
    code, _, error = anticipate(*line)
    assert code == 2 and "holds a checkpoint already; --force overwrites it" in error


def test_its_own_files_are_known_to_check(anticipate, random_checkpoint, tmp_path, monkeypatch, ticking):
    """And so is what the base was made of. A name may hold any bytes."""
    base = tmp_path / "base"
    shutil.copytree(random_checkpoint, base)
    Memory.build([("before/1.mid", tune(1))]).with_facts(chance=[(10, 0.05)]).save(base / "memory.npz")
    (own := tmp_path / "own").mkdir()
    odd = "a name\nof two lines, " + os.fsdecode(b"caf\xe9") if sys.platform == "linux" else "6"
    for seed in range(2, 8):
        written(own, odd if seed == 6 else f"{seed}", tune(seed))
    monkeypatch.setattr(finetune, "LOOKS", 2)
    line = ["finetune", own, "-o", tmp_path / "mine", "--model", base, "--threads", "1", "--minutes", "0.2"]
    assert anticipate(*line, "--anyway")[0] == 0
    for seed, piece in ((1, "before/1.mid"), (5, "own/5.mid"), (9, None)):
        written(tmp_path, f"new{seed}", tune(seed)[20:80].transpose(1))
        facts = json.loads(anticipate("check", tmp_path / f"new{seed}.mid", "--index", tmp_path / "mine", "--json")[1])
        assert facts["pieces"] == 7 and (facts["longest"] or {"piece": None})["piece"] == piece


def test_where_nothing_may_be_written_no_minute_is_spent(anticipate, random_checkpoint, pieces, tmp_path, monkeypatch):
    def refuse(dir):
        raise PermissionError(13, "Permission denied")

    monkeypatch.setattr(tempfile, "TemporaryDirectory", refuse)
    monkeypatch.setattr(finetune, "finetune", lambda *_, **__: pytest.fail("it was trained"))
    line = ["finetune", pieces.folder, "-o", tmp_path / "new" / "mine", "--model", random_checkpoint]
    code, out, error = anticipate(*line)
    assert (code, out, error) == (2, "", f"anticipate: cannot write in {tmp_path}: Permission denied\n")


def test_what_got_worse_is_not_written_unless_asked(
    anticipate, random_checkpoint, pieces, tmp_path, monkeypatch, ticking
):
    monkeypatch.setattr(finetune, "LR", 0.0)
    line = ["finetune", "--model", random_checkpoint, "--threads", "1", pieces.folder, "-o", tmp_path / "mine"]
    code, _, error = anticipate(*line, "--minutes", "0.2", "-q")
    assert code == 2 and not (tmp_path / "mine").exists()
    assert error.startswith("anticipate: nothing was written: ") and error.count("\n") == 1
    code, out, told = anticipate(*line, "--minutes", "0.2", "--anyway")
    assert (code, out) == (0, "") and "no better, but written" in told and checkpoint.load(tmp_path / "mine")


def test_what_cannot_be_learned_from_is_one_line(anticipate, random_checkpoint, random_model, pieces, tmp_path):
    def refused(words: str, *line) -> None:
        code, _, error = anticipate("finetune", *line, "-o", tmp_path / "mine", "--threads", "1", "-q")
        assert code == 2 and words in error and error.count("\n") == 1, error

    (tmp_path / "empty").mkdir()
    refused("has no MIDI file to learn from", tmp_path / "empty", "--model", random_checkpoint)
    (tmp_path / "empty" / "bad.mid").write_text("no music")
    refused("the first file: ", tmp_path / "empty", "--model", random_checkpoint)
    refused("no folder", tmp_path / "nothing", "--model", random_checkpoint)
    refused("--minutes must be more than 0", pieces.folder, "--minutes", "0", "--model", random_checkpoint)
    refused("--seed is 0 or more", pieces.folder, "--seed", "-1", "--model", random_checkpoint)
    (tmp_path / "mine").write_text("a file")
    refused("mine is a file", pieces.folder, "--model", random_checkpoint)
    (tmp_path / "mine").unlink()
    refused("trains float32 weights", pieces.folder, "--weights", "int8", "--model", random_checkpoint)
    checkpoint.save(gpt2.GPT2(gpt2.Config(1, 32, 2)), tmp_path / "amt")
    refused("finetune is for event transformers", pieces.folder, "--model", tmp_path / "amt")
    short = few(pieces, tmp_path / "empty", 1)
    with pytest.raises(RequestError, match="too little music"):
        finetune.divide(Folder(short.folder, short.pieces, (short.notes_of[0][:20],)), 0)


def test_our_reader_and_the_fast_one_agree(pieces, music_folder):
    pytest.importorskip("symusic")
    fast = Folder.read(music_folder / "pop909")
    assert [p.name for p in fast.pieces] == [p.name for p in pieces.pieces]
    for a, b in zip(pieces.notes_of, fast.notes_of, strict=True):
        assert np.allclose(a.onset, b.onset) and (a.pitch == b.pitch).all() and (a.velocity == b.velocity).all()
