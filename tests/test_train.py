"""Laws of training: it learns, it goes on where it stopped, and its checkpoint loads."""

import sys

import evaluate
import prepare
import pytest
import torch

import train
from anticipation import checkpoint
from anticipation.data import Shards
from anticipation.errors import AnticipationError
from anticipation.model import Config, EventModel

pytest.importorskip("symusic")


@pytest.fixture(scope="module")
def shards(music_folder, tmp_path_factory):
    out = tmp_path_factory.mktemp("shards")
    prepare.prepare([music_folder], out)
    return out


@pytest.fixture
def run(shards, tmp_path, monkeypatch):
    """run(name, *flags): the trainer in this process, on one block instead of four; the run folder."""
    monkeypatch.setitem(train.model.PRESETS, "tiny", 1)
    monkeypatch.setattr(train, "report", lambda *_: {"dev none": {"notes": 9.9}})
    precision = torch.get_float32_matmul_precision()

    def call(name: str, *flags: str):
        line = ["train.py", "--data", str(shards), "--out", str(tmp_path / name), "--steps", "4", "--batch", "2"]
        line += ["--length", "64", "--warmup", "2", "--save-every", "1", "--device", "cpu", "--mix", "all"]
        monkeypatch.setattr(sys, "argv", [*line, *flags])
        train.main()
        return tmp_path / name

    yield call
    torch.set_float32_matmul_precision(precision)


def state(folder) -> dict:
    """The saved state in plain numbers, but for the seconds."""

    def plain(value):
        if isinstance(value, dict):
            return {name: plain(entry) for name, entry in value.items() if name != "seconds"}
        if isinstance(value, list | tuple):
            return [plain(entry) for entry in value]
        return value.tolist() if isinstance(value, torch.Tensor) else value

    return plain(torch.load(folder / "state.pt", weights_only=True))


def test_a_resumed_run_equals_an_uninterrupted_one_bit_for_bit(run, tmp_path, monkeypatch):
    """Killed right after the state of step 2 was written; weights, momenta and the checkpoint are the same."""
    whole = run("whole")
    save = train.save_state

    def kill(path, net, opts, step, seconds):
        save(path, net, opts, step, seconds)
        if step == 2:
            raise KeyboardInterrupt

    with monkeypatch.context() as patch:
        patch.setattr(train, "save_state", kill)
        with pytest.raises(KeyboardInterrupt):
            run("halved")
    assert state(tmp_path / "halved")["step"] == 2 and not (tmp_path / "halved" / "checkpoint").exists()
    halved = run("halved", "--resume")
    assert state(halved) == state(whole)
    assert checkpoint.fingerprint(halved / "checkpoint") == checkpoint.fingerprint(whole / "checkpoint")


def test_the_checkpoint_of_a_run_loads_and_says_how_it_was_made(run):
    folder = run("a", "--eval-every", "2")
    net = checkpoint.load(folder / "checkpoint")
    for name, weights in state(folder)["model"].items():
        assert torch.equal(net.state_dict()[name], torch.tensor(weights).bfloat16().float())
    card = checkpoint.read_config(folder / "checkpoint")["card"]
    assert (
        card["steps"] == 4 and card["rows"] == 4 * 2 * 64 and "--length 64" in card["command"] and card["held_out_bits"]
    )
    assert (folder / "metrics.csv").read_text().startswith("step,seconds,nats per row,shift,")


def test_weights_of_another_run_can_be_the_start(run):
    first = run("a")
    again = run("b", "--init", str(first / "checkpoint"), "--lr", "0", "--lr-rest", "0")
    assert checkpoint.fingerprint(first / "checkpoint") == checkpoint.fingerprint(again / "checkpoint")


def test_it_learns(shards):
    """Forty steps on one batch: from the entropy of the alphabet to less than half of it."""
    torch.manual_seed(0)
    net = EventModel(Config(depth=1, window=64))
    sys_argv = ["train.py", "--data", "x", "--out", "x", "--steps", "40"]
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(sys, "argv", sys_argv)
        args = train.arguments()
    opts = train.optimizers(net, args)
    batch = {
        k: torch.from_numpy(v) for k, v in train.Windows(Shards(shards), "train", batch=4, length=64, seed=0)[0].items()
    }
    losses = [float(train.update(net, opts, batch, 1.0, args).sum(1).mean()) for _ in range(40)]
    assert losses[-1] < losses[0] / 2 and evaluate.nats(net.losses, batch, net.device).sum(1).mean() < losses[0] / 2


def test_every_weight_is_trained_by_one_optimizer(run):
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(sys, "argv", ["train.py", "--data", "x", "--out", "x"])
        args = train.arguments()
    net = EventModel(Config(depth=1, window=64))
    held = [id(p) for opt in train.optimizers(net, args) for group in opt.param_groups for p in group["params"]]
    assert sorted(held) == sorted(id(p) for p in net.parameters())


def test_the_rate_rises_rests_and_falls_to_nothing():
    args = type("Args", (), {"steps": 100, "warmup": 10, "cooldown": 0.3})
    rates = [train.rate(step, args) for step in range(101)]
    assert (
        rates[0] == 0.1
        and rates[9:70] == [1.0] * 61
        and rates[100] == 0
        and rates[71:] == sorted(rates[71:], reverse=True)
    )


def test_shards_that_are_none_are_refused(run, tmp_path):
    with pytest.raises(AnticipationError, match="no folder of shards"):
        run("a", "--data", str(tmp_path))


def test_a_loss_that_is_no_number_stops_the_run_and_keeps_the_last_state(run, tmp_path, monkeypatch):
    nats, calls = train.nats, []

    def broken(*args):
        calls.append(1)
        return nats(*args) * (float("nan") if len(calls) == 3 else 1.0)

    monkeypatch.setattr(train, "nats", broken)
    with pytest.raises(SystemExit, match="nan at step 2"):
        run("a")
    assert state(tmp_path / "a")["step"] == 2


def test_held_out_bits_of_an_untrained_model_are_those_of_the_alphabet(shards):
    """102 shifts, 131 instruments, 128 pitches ...: log2 of each, summed over what is drawn."""
    net = EventModel(Config(depth=1, window=64))
    table = evaluate.report(net, Shards(shards), 64, steps=1)
    assert set(table) == {f"dev {kind}" for kind in evaluate.CONTROLS}
    for row in table.values():
        assert row["instrument"] == pytest.approx(7.033, abs=0.05) and row["pitch"] == pytest.approx(7.0, abs=0.05)
