"""Laws of training: it learns, it goes on where it stopped, any layout follows one curve, and nothing bad is lost."""

import gc
import json
import multiprocessing
import os
import shutil
import signal
import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import engine
import evaluate
import logbook
import numpy as np
import pytest
import recipes
import torch
from conftest import ROOT

import train
from anticipation.data.shards import Shards
from anticipation.errors import AnticipationError
from anticipation.model import checkpoint, gpt2
from anticipation.model.event import Config

pytest.importorskip("symusic")

TINY = {"tiny": Config(1), "small": Config(2), "amt-tiny": gpt2.Config(1, 32, 2, dropout=0.1)}
SHORT = ["--steps", "4", "--batch", "2", "--warmup", "2", "--save-every", "1", "--device", "cpu", "--log-every", "1"]
SHORT += ["--eval-pieces", "1", "--micro", "1"]
LAUNCH = """
import os, signal, sys, time
sys.path[:0] = [{root!r}, {train!r}, {tests!r}]
import test_train
test_train.shrink()
import engine, train
from anticipation.data.shards import Shards
from anticipation.errors import AnticipationError
step, last, lost = engine.Engine.step, int(os.environ.get("KILL_AT", -1)), int(os.environ.get("LOSE_AT", -1))
term = int(os.environ.get("TERM_AT", -1))
def gone(self, piece):
    raise AnticipationError("pitch.bin vanished")
def mortal(self, number, *rest):
    if number == last:
        os.kill(os.getpid(), signal.SIGKILL)
    if number == term:
        os.system(f"kill -TERM -{{os.getpgrp()}}")  # by another process: loaders know what their parent sends
        time.sleep(0.5)
    if number == lost and os.environ["RANK"] == "1":
        Shards.notes = gone
    return step(self, number, *rest)
engine.Engine.step = mortal
train.leave(train.main())
"""


def shrink(setitem=dict.__setitem__) -> None:
    """Presets for a test: a block or two, and for AMT the loss that is a sixth of the work."""
    for name, config in TINY.items():
        preset = recipes.PRESETS[name]
        recipe = replace(preset.recipe, sliced=True) if isinstance(preset.recipe, recipes.Amt) else preset.recipe
        setitem(recipes.PRESETS, name, replace(preset, config=config, recipe=recipe))


@pytest.fixture(scope="module")
def shards(shards) -> Path:
    return shards.folder


@pytest.fixture
def run(shards, tmp_path, monkeypatch):
    """run(name, *flags, code=0): the trainer in this process, on one block; the run folder."""
    shrink(lambda table, name, value: monkeypatch.setitem(table, name, value))
    precision, threads = torch.get_float32_matmul_precision(), torch.get_num_threads()
    torch.set_num_threads(1)  # as in `launch`: another number adds up in another order
    full = train.evaluate
    monkeypatch.setattr(train, "evaluate", lambda *args: full(*args[:4], ("none",), ()))

    def call(name: str, *flags: str, code: int = 0, data: Path = shards) -> Path:
        length = [] if any(flag.startswith("amt") for flag in flags) else ["--length", "64"]
        assert train.main(["--data", str(data), "--out", str(tmp_path / name), *SHORT, *length, *flags]) == code
        return tmp_path / name

    yield call
    torch.set_float32_matmul_precision(precision)
    torch.set_num_threads(threads)


@pytest.fixture
def launch(shards, tmp_path):
    """launch(name, *flags, processes=0, kill_at=-1, lose_at=-1, term_at=-1): the trainer in processes of its own; the
    finished one. kill_at: the step that kills it; lose_at: the step from which on the second process has no data;
    term_at: the step in which all of its processes are asked to stop."""
    script = tmp_path / "launch.py"
    paths = {"root": str(ROOT), "train": str(ROOT / "train"), "tests": str(ROOT / "tests")}
    script.write_text(LAUNCH.format(**paths))

    def call(
        name: str, *flags: str, processes: int = 0, kill_at: int = -1, lose_at: int = -1, term_at: int = -1
    ) -> subprocess.CompletedProcess:
        spread = ["-m", "torch.distributed.run", "--standalone", "--nproc-per-node", str(processes)]
        line = [sys.executable, *(spread if processes else []), str(script), "--data", str(shards)]
        line += ["--out", str(tmp_path / name), *SHORT, *flags]
        env = os.environ | {"KILL_AT": str(kill_at), "LOSE_AT": str(lose_at), "TERM_AT": str(term_at)}
        env |= {"OMP_NUM_THREADS": "1", "OMP_WAIT_POLICY": "passive"}
        alone = term_at >= 0  # in a group of its own, or all tests would hear of it
        return subprocess.run(line, env=env, capture_output=True, text=True, timeout=300, start_new_session=alone)

    return call


def state(folder) -> dict:
    """The saved state in plain numbers, but for the seconds."""

    def plain(value):
        if isinstance(value, dict):
            return {name: plain(entry) for name, entry in value.items() if name != "seconds"}
        if isinstance(value, list | tuple):
            return [plain(entry) for entry in value]
        return value.tolist() if isinstance(value, torch.Tensor) else value

    return plain(torch.load(folder / "state.pt", weights_only=True))


def curve(folder) -> list[list[float]]:
    """metrics.csv without the seconds."""
    rows = [line.split(",") for line in (folder / "metrics.csv").read_text().splitlines()]
    assert rows[0][:3] == ["step", "seconds", "loss"]
    return [[float(cell) for cell in row[:1] + row[2:]] for row in rows[1:]]


def args_of(*flags: str):
    return train.flags().parse_args(["--data", "x", "--out", "x", *flags])


def make(preset="tiny", **layout) -> engine.Engine:
    """An engine on the CPU, in float32."""
    chosen, settings = recipes.PRESETS[preset], recipes.PRESETS[preset].settings
    torch.manual_seed(0)
    where, how = engine.Place(torch.device("cpu")), engine.Layout(half=False, **layout)
    schedule = recipes.Schedule(settings.schedule, 1)
    return engine.Engine(chosen.network(64), chosen.recipe, where, how, settings, schedule, 0)


def batch_of(shards, preset="tiny", batch=2) -> dict[str, torch.Tensor]:
    settings = recipes.Settings(0.0, batch=batch, length=64)
    data = recipes.PRESETS[preset].recipe.data(Shards(shards), settings, 0, None)
    return {name: torch.from_numpy(column) for name, column in data[0].items()}


@pytest.mark.skipif(sys.platform == "win32", reason="Windows has no SIGKILL")
@pytest.mark.parametrize("preset", ["tiny", "amt-tiny"])
def test_a_run_killed_and_resumed_equals_an_uninterrupted_one_bit_for_bit(run, launch, tmp_path, preset):
    """Killed in step 3, two steps after the last state was saved: weights, momenta, checkpoint and metrics agree, and
    no step is logged twice. amt-tiny has dropout."""
    flags = ["--preset", preset, "--save-every", "2", *(["--length", "64"] if preset == "tiny" else [])]
    whole = run("whole", *flags)
    killed = launch("killed", *flags, kill_at=3)
    assert killed.returncode == -signal.SIGKILL and len(curve(tmp_path / "killed")) == 3, killed.stderr
    assert state(tmp_path / "killed")["step"] == 2
    killed = run("killed", *flags, "--resume")
    assert state(killed) == state(whole) and curve(killed) == curve(whole)
    assert checkpoint.fingerprint(killed / "checkpoint") == checkpoint.fingerprint(whole / "checkpoint")


def test_sigterm_saves_the_very_step_and_the_run_goes_on(run, monkeypatch, capsys):
    whole, step = run("whole"), engine.Engine.step

    def asked(self, number, *rest):
        if number == 1:
            signal.raise_signal(signal.SIGTERM)
        return step(self, number, *rest)

    with monkeypatch.context() as patch:
        patch.setattr(engine.Engine, "step", asked)
        stopped = run("stopped", "--save-every", "100", code=128 + signal.SIGTERM)
    assert "stopped at step 2, which is saved" in capsys.readouterr().err and state(stopped)["step"] == 2
    assert state(run("stopped", "--resume")) == state(whole)
    assert signal.getsignal(signal.SIGTERM) == signal.SIG_DFL


def test_a_second_sigterm_waits_for_the_save_as_the_first():
    request = logbook.StopRequest()
    try:
        signal.raise_signal(signal.SIGTERM)
        signal.raise_signal(signal.SIGTERM)
        assert request and request.code == 128 + signal.SIGTERM
    finally:
        request.forget()


@pytest.mark.skipif(sys.platform != "linux", reason="torchrun with gloo")
@pytest.mark.parametrize("layout", [[], ["--fsdp"]], ids=["ddp", "fsdp"])
def test_two_processes_follow_the_curve_of_one(run, launch, tmp_path, layout):
    """And what two have saved, one goes on with. Muon, AdamW, and accumulated gradients, all in float32."""
    flags = ["--batch", "4", "--precision", "fp32", "--length", "64"]
    one = run("one", *flags)
    two = launch("two", *flags, *layout, "--steps", "3", processes=2)
    assert two.returncode == 0, two.stderr[-2000:]
    assert np.allclose(curve(one)[:2], curve(tmp_path / "two")[:2], rtol=2e-3)
    again = run("two", *flags, "--resume")
    assert len(curve(again)) == 4 and np.allclose(curve(one)[3][1:7], curve(again)[3][1:7], rtol=0.02)
    a, b = (checkpoint.load(folder / "checkpoint").state_dict() for folder in (one, again))
    assert max(float((a[name] - b[name]).abs().max()) for name in a) < 0.05


def test_a_batch_that_the_processes_cannot_share_is_refused(shards):
    recipe = recipes.PRESETS["tiny"].recipe
    with pytest.raises(AnticipationError, match="batch of 4 cannot be shared by 3 processes; change --batch"):
        recipe.data(Shards(shards), recipes.Settings(0.0, batch=4), 0, None, rank=0, world=3)


@pytest.mark.parametrize("preset", ["tiny", "amt-tiny"])
def test_the_ranks_share_one_batch_in_order(shards, preset):
    recipe, settings = recipes.PRESETS[preset].recipe, recipes.Settings(0.0, batch=4, length=64)
    whole = recipe.data(Shards(shards), settings, 0, None)[3]
    halves = [recipe.data(Shards(shards), settings, 0, None, rank, 2)[3] for rank in range(2)]
    assert all((np.concatenate([half[name] for half in halves]) == whole[name]).all() for name in whole)


@pytest.mark.parametrize("layout", [{"micro": 1}, {"recompute": True}])
@pytest.mark.parametrize("preset", ["tiny", "amt-tiny"])
def test_micro_batches_and_recomputation_change_nothing(run, shards, monkeypatch, preset, layout):
    if preset == "amt-tiny":  # dropout is drawn for each micro-batch
        monkeypatch.setitem(recipes.PRESETS, preset, replace(recipes.PRESETS[preset], config=gpt2.Config(1, 32, 2)))
    plain, other, batch = make(preset), make(preset, **layout), batch_of(shards, preset)
    for step in range(2):
        a, b = plain.step(step, batch, 0.0), other.step(step, batch, 0.0)
        assert a[1] and b[1] and a[0] == pytest.approx(b[0], rel=1e-3)
    weights = zip(plain.net.parameters(), other.net.parameters(), strict=True)
    assert all(torch.allclose(p, q, atol=2e-3) for p, q in weights)


def test_the_checkpoint_of_a_run_loads_and_says_how_it_was_made(run):
    folder = run("a", "--eval-every", "2", "--sample-every", "4")
    net = checkpoint.load(folder / "checkpoint")
    for name, weights in state(folder)["model"].items():
        assert torch.equal(net.state_dict()[name], torch.tensor(weights).bfloat16().float())
    card = checkpoint.read_config(folder / "checkpoint")["card"]
    assert card["steps"] == 4 and card["rows"] == 4 * 2 * 64 and card["command"]
    assert card["held_out"]["nats_per_event"] > 0 and set(card["held_out"]["by_request"]) >= {"dev none"}
    config = json.loads((folder / "config.json").read_text())
    assert config["preset"] == "tiny" and config["lr"] == 0.004 and config["optimizer"] == "muon"
    evals = [json.loads(line) for line in (folder / "evals.jsonl").read_text().splitlines()]
    assert [(one["step"], one["kind"]) for one in evals] == [(2, "eval"), (4, "eval"), (4, "report")]
    assert {p.suffix for p in (folder / "samples").iterdir()} == {".mid", ".png"}


def test_processes_that_load_change_nothing(run):
    assert state(run("a")) == state(run("b", "--workers", "2"))


@pytest.mark.parametrize("preset", ["tiny", "amt-tiny"])
def test_weights_of_another_run_can_be_the_start(run, preset):
    first = run("a", "--preset", preset)
    flags = ["--init", str(first / "checkpoint"), "--lr", "0", "--lr-rest", "0"]
    again = run("b", "--preset", preset, *flags)
    assert checkpoint.fingerprint(first / "checkpoint") == checkpoint.fingerprint(again / "checkpoint")


@pytest.mark.skipif(sys.platform != "linux", reason="SIGKILL, and torchrun with gloo")
def test_the_checkpoint_can_be_the_mean_of_the_last_weights(run, launch, tmp_path, monkeypatch):
    """Of the last two of four updates, also where it was killed between these, and where two processes shard them."""
    flags = ["--average", "0.5", "--batch", "4", "--precision", "fp32", "--length", "64"]
    seen, step = [], engine.Engine.step

    def noted(self, *rest):
        done = step(self, *rest)
        seen.append({name: weight.clone() for name, weight in self.net.state_dict().items()})
        return done

    with monkeypatch.context() as patch:
        patch.setattr(engine.Engine, "step", noted)
        whole = run("whole", *flags)
    mean = checkpoint.load(whole / "checkpoint").state_dict()
    for name, weight in mean.items():
        assert torch.allclose(weight, (seen[2][name] + seen[3][name]) / 2, rtol=0.005, atol=1e-6)  # it is in bf16
    assert any(not torch.equal(seen[3][name].bfloat16().float(), weight) for name, weight in mean.items())

    launch("killed", *flags, kill_at=3)
    again = run("killed", *flags, "--resume")
    assert checkpoint.fingerprint(again / "checkpoint") == checkpoint.fingerprint(whole / "checkpoint")
    assert launch("two", *flags, "--fsdp", processes=2, kill_at=3).returncode
    assert launch("two", *flags, "--fsdp", "--resume", processes=2).returncode == 0
    assert state(tmp_path / "two")["averaged"] == 2
    two = checkpoint.load(tmp_path / "two" / "checkpoint").state_dict()
    assert max(float((two[name] - mean[name]).abs().max()) for name in mean) < 0.05

    longer = state(run("whole", *flags, "--resume", "--steps", "9"))  # its mean is of the new end
    assert longer["averaged"] == 4


def test_some_of_the_first_weights_can_stay(run):
    first = run("a") / "checkpoint"
    kept = run("b", "--init", str(first), "--init-share", "0.25")
    old, new = checkpoint.load(first).state_dict(), torch.load(kept / "state.pt", weights_only=True)["model"]
    for name, weight in checkpoint.load(kept / "checkpoint").state_dict().items():
        assert torch.allclose(weight, 0.25 * old[name] + 0.75 * new[name], rtol=0.01, atol=1e-6)
        assert not torch.equal(old[name], new[name])


@pytest.mark.parametrize("preset, steps, least", [("tiny", 40, 0.5), ("amt-tiny", 15, 0.99)])
def test_it_learns(run, shards, preset, steps, least):
    """On one batch: from the entropy of the alphabet to a good deal less."""
    trained, batch = make(preset), batch_of(shards, preset)
    losses = [trained.step(step, batch, 0.0)[0]["loss"] for step in range(steps)]
    assert losses[-1] < least * losses[0]


@pytest.mark.parametrize("optimizer", ["muon", "adamw"])
@pytest.mark.parametrize("preset", ["tiny", "amt-tiny"])
def test_every_weight_is_trained_by_one_optimizer(run, preset, optimizer):
    recipe, net = recipes.PRESETS[preset].recipe, recipes.PRESETS[preset].network(64)
    held = [id(p) for opt in recipe.optimizers(net, optimizer) for group in opt.param_groups for p in group["params"]]
    assert sorted(held) == sorted(id(p) for p in net.parameters())


def test_amt_presets_are_the_papers():
    """Layers, width, heads, dropout, peak rate, batch: Thickstun et al. 2024; the sizes are theirs to a per cent."""
    wanted = {"small": (12, 768, 12, 0.1, 6e-4, 128), "medium": (24, 1024, 16, 0.1, 3e-4, 360),
              "large": (36, 1280, 20, 0.0, 2e-4, 780)}  # fmt: skip
    for name, (layers, width, heads, dropout, lr, millions) in wanted.items():
        preset = recipes.PRESETS[f"amt-{name}"]
        config, settings = preset.config, preset.settings
        assert (config.layers, config.width, config.heads, config.dropout) == (layers, width, heads, dropout)
        assert (settings.lr, settings.batch, settings.warmup, settings.schedule) == (lr, 512, 1000, "cosine")
        with torch.device("meta"):
            assert sum(p.numel() for p in preset.network().parameters()) / 1e6 == pytest.approx(millions, rel=0.02)
    opt = recipes.Amt().optimizers(recipes.PRESETS["amt-tiny"].network(), "adamw")[0]
    assert [(group["weight_decay"], group["betas"]) for group in opt.param_groups] == [
        (0.1, (0.9, 0.999)),
        (0.0, (0.9, 0.999)),
    ]


def test_the_rate_rises_rests_and_falls_to_nothing():
    ours, theirs = recipes.Schedule("trapezoid", 10, 0.3), recipes.Schedule("cosine", 10)
    rates = [ours.rate(step, step / 100) for step in range(101)]
    assert rates[0] == 0.1 and rates[9:71] == [1.0] * 62 and rates[100] == 0
    assert rates[70:] == sorted(rates[70:], reverse=True)
    rates = [theirs.rate(step, step / 100) for step in range(101)]
    assert rates[0] == 0.1 and rates[50] == pytest.approx(0.5) and rates[100] == 0
    assert rates[10:] == sorted(rates[10:], reverse=True)


def test_a_run_by_the_clock_ends_with_it_and_goes_on(run, monkeypatch):
    """A clock that ticks one second whenever it is asked: 12 seconds are a few steps, and the rate has fallen."""
    now = iter(range(10**6))
    monkeypatch.setattr(train.time, "perf_counter", lambda: float(next(now)))
    folder = run("a", "--minutes", "0.2", "--steps", "100")
    steps = len(curve(folder))
    assert 5 < steps < 20 and curve(folder)[-1][-1] < 0.5
    longer = run("a", "--minutes", "0.4", "--steps", "100", "--resume")
    assert steps + 5 < len(curve(longer)) and [row[0] for row in curve(longer)] == list(range(len(curve(longer))))


def test_a_state_of_the_first_version_is_taken_over(run):
    """It had no guard, its run folder no config.json, and metrics.csv other columns."""
    folder, whole = run("a", "--steps", "3"), run("whole")
    old = torch.load(folder / "state.pt", weights_only=True)
    del old["guard"]
    torch.save(old, folder / "state.pt")
    (folder / "config.json").unlink()
    (folder / "metrics.csv").write_text("step,seconds,nats per row\n0,1,2\n")
    again = run("a", "--resume", "--steps", "4")
    assert state(again)["step"] == 4 and [row[0] for row in curve(again)] == [3]
    assert (again / "metrics.old.csv").exists() and state(whole)["step"] == 4


def test_bad_updates_are_left_out_and_too_many_end_the_run(run, monkeypatch, capsys):
    losses = recipes.Event.losses

    def broken(self, net, batch, first=2, last=3):
        calls.append(1)
        return losses(self, net, batch) * (float("nan") if first < (len(calls) + 1) // 2 <= last else 1.0)

    calls: list[int] = []
    monkeypatch.setattr(recipes.Event, "losses", broken)
    folder = run("a")
    assert "step 2 was left out: loss nan" in capsys.readouterr().err and state(folder)["guard"]["refused"] == 1
    monkeypatch.setattr(recipes.Event, "losses", lambda *args: broken(*args, 2, 99))
    calls.clear()
    run("b", "--steps", "50", code=2)
    assert "the loss is lost: 10 bad updates in a row" in capsys.readouterr().err


def test_a_spike_is_refused_and_a_rise_is_not():
    guard = engine.Guard()
    assert all(guard.accepts(10 + 0.1 * (i % 3), 1.0) for i in range(100))
    assert guard.accepts(10.6, 1.0) and not guard.accepts(30.0, 1.0) and not guard.accepts(10.0, float("inf"))
    assert guard.refused == guard.row == 2 and guard.accepts(10.1, 1.0) and guard.row == 0


def test_a_disk_that_is_full_keeps_the_state_before(run, capsys):
    resource = pytest.importorskip("resource")
    folder = run("a")
    before = (folder / "state.pt").read_bytes()
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (len(before) // 2, hard))
    try:
        run("a", "--resume", "--steps", "6", code=2)
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))
    error = capsys.readouterr().err
    assert (
        f"cannot write {folder / 'state.pt'}: " in error
        and "container" not in error
        and "still holds the state before" in error
    )
    assert (folder / "state.pt").read_bytes() == before and not list(folder.glob("*.new"))


@pytest.fixture
def uncollected():
    """No garbage is collected: what a test finds ended was ended by somebody, and not by chance."""
    gc.disable()
    yield
    gc.enable()


@pytest.mark.parametrize("workers", [0, 1])
@pytest.mark.parametrize("harm", ["cut", "gone"])
def test_a_shard_that_vanishes_saves_the_run_and_says_so(
    run, shards, tmp_path, monkeypatch, capsys, uncollected, harm, workers
):
    data, step = tmp_path / "shards", engine.Engine.step
    shutil.copytree(shards, data)

    def vandal(self, number, *rest):
        if number == 1:
            (data / "pitch.bin").unlink() if harm == "gone" else os.truncate(data / "pitch.bin", 10)
        return step(self, number, *rest)

    monkeypatch.setattr(engine.Engine, "step", vandal)
    folder = run("a", "--steps", "40", "--save-every", "100", "--workers", str(workers), code=2, data=data)
    error = capsys.readouterr().err.splitlines()[-1]
    assert error.startswith("train: ") and "pitch.bin vanished or was cut" in error and "is saved in" in error
    assert 2 <= state(folder)["step"] < 40
    assert not multiprocessing.active_children()  # Python would wait for them at its exit


@pytest.mark.skipif(sys.platform != "linux", reason="torchrun with gloo")
def test_data_that_one_process_loses_ends_both_with_the_run_saved(launch, tmp_path):
    """Alone it would save for ever, waiting for the other, which waits for its gradients."""
    ended = launch("a", "--batch", "4", "--steps", "40", "--save-every", "100", processes=2, lose_at=2)
    assert ended.returncode and "pitch.bin vanished; step" in ended.stderr
    assert 3 <= state(tmp_path / "a")["step"] < 40


def test_a_disk_that_is_full_where_the_log_is_written_is_one_line(run, monkeypatch, capsys):
    def full(self, *_):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(logbook.Run, "log", full)
    run("a", code=2)
    assert capsys.readouterr().err == "train: [Errno 28] No space left on device\n"


def foreign(folder: Path) -> None:
    torch.save({"model": {}, "step": 1}, folder / "state.pt")


@pytest.mark.parametrize(
    "flags, words",
    [
        (["--preset", "small"], "was begun with --preset tiny, not small"),
        (["--batch", "4"], "was begun with --batch 2, not 4; start a new run with --init"),
        (["--optimizer", "adamw"], "was begun with --optimizer muon, not adamw"),
        (["--seed", "5"], "was begun with --seed 0, not 5"),
    ],
)
def test_a_run_resumed_as_another_is_refused(run, capsys, flags, words):
    before = state(run("a"))
    folder = run("a", "--resume", *flags, code=2)
    assert words in capsys.readouterr().err and state(folder) == before


def test_what_does_not_fit_is_one_line(run, shards, tmp_path, capsys, monkeypatch):
    """Other shards, another state, another family, another size, a second run in one folder, FSDP by itself."""

    def refused(words: str, *flags: str, **more) -> None:
        run("a", *flags, code=2, **more)
        error = capsys.readouterr().err
        assert words in error and error.count("\n") == 1, error

    first = run("a")
    capsys.readouterr()
    refused("holds a run: --resume goes on with it")
    other = tmp_path / "other"
    shutil.copytree(shards, other)
    manifest = json.loads((other / "manifest.json").read_text())
    (other / "manifest.json").write_text(json.dumps(manifest | {"outcome": {}}))
    refused("was begun with other shards", "--resume", data=other)
    manifest["pieces"].pop()
    (other / "manifest.json").write_text(json.dumps(manifest))
    refused("the columns do not have", "--resume", data=other)
    foreign(first)
    refused("is no state of this run", "--resume")
    for broken in (b"PK\3\4 not much", b"", b"no pickle"):
        (first / "state.pt").write_bytes(broken)
        refused("is no state of this run", "--resume")
    torch.save([1, 2], first / "state.pt")
    refused("is no state of this run", "--resume")
    (first / "state.pt").unlink()
    refused(
        "is of family 'event', --preset amt-tiny is not", "--init", str(first / "checkpoint"), "--preset", "amt-tiny"
    )
    refused("is of another size than --preset small", "--init", str(first / "checkpoint"), "--preset", "small")
    refused("no checkpoint", "--init", str(tmp_path / "nothing"))
    refused("of which weights? say --init", "--init-share", "0.5")
    refused("are shares, from 0 to 1", "--average", "1.5")
    refused("start it as torchrun", "--fsdp")
    refused("AMT's context is 1024 tokens", "--preset", "amt-tiny", "--length", "64")
    refused("no folder of shards", data=tmp_path)
    monkeypatch.setattr(Shards, "split", lambda self, name: [])
    refused("has no pieces in split 'train'")
    (tmp_path / "file").write_text("")
    refused("cannot make the run folder", "--out", str(tmp_path / "file" / "run"))


@pytest.mark.parametrize(
    "flag, least", [("batch", 1), ("save-every", 1), ("log-every", 1), ("eval-every", 0), ("micro", 0), ("seed", 0)]
)
def test_numbers_that_cannot_be_are_one_line(run, capsys, flag, least):
    run("a", f"--{flag}", str(least - 1), code=2)
    assert capsys.readouterr().err == f"train: --{flag} must be at least {least}\n"


def test_a_time_or_a_device_that_cannot_be_is_one_line(run, capsys):
    """Some minus five minutes were never over."""
    for flags, words in ((("--minutes", "-5"), "--minutes must be"), (("--device", "tpu7"), "no device 'tpu7'")):
        run("a", *flags, code=2)
        error = capsys.readouterr().err
        assert words in error and error.count("\n") == 1


def test_a_run_need_not_be_evaluated_on_the_way(run):
    folder = run("a", "--eval-every", "0", "--sample-every", "0")
    assert [json.loads(line)["kind"] for line in (folder / "evals.jsonl").read_text().splitlines()] == ["report"]


def test_the_two_measurements_print_one_line_each(run, capsys):
    run("a", "--bench-loader", "0.05", "--bench-model", "0.05", "--peak", "1e12")
    loader, model = map(json.loads, capsys.readouterr().out.splitlines())
    assert loader["bench"] == "loader" and loader["rows_per_second"] > 0
    assert model["bench"] == "model" and 0 < model["utilisation"] < 1 and model["rows_per_second"] > 0


@pytest.mark.parametrize("preset", ["tiny", "base", "amt-tiny", "amt-small"])
def test_operations_are_twice_the_weights_that_a_row_meets(preset):
    """The 6ND of the bar: all matrices but tables that are looked up. AMT has its table as head, and three tokens."""
    chosen = train.PRESETS[preset]
    with torch.device("meta"):
        named = dict(chosen.network(512).named_parameters())
    looked_up = ("embed", "drawn", "chart", "soon", "line", "wpe")
    matrices = sum(p.numel() for n, p in named.items() if p.ndim == 2 and not n.startswith(looked_up))
    matrices += 3 * named["heard.weight"].numel() if "heard.weight" in named else 0  # met by four of the five fields
    matrices += named["interval"].numel() if "interval" in named else 0
    tokens = 3 if preset.startswith("amt") else 1
    assert chosen.recipe.flops(chosen.config, 512)[0] == pytest.approx(2 * matrices * tokens, rel=1e-6)


def test_the_trainer_imports_no_midi_library():
    code = f"import sys; sys.path[:0] = [{str(ROOT / 'train')!r}]; import train; print(*sys.modules)"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, cwd=ROOT, check=True)
    heavy = {"mido", "pretty_midi", "miditoolkit", "symusic", "PIL", "tensorboard"}
    assert not heavy & set(done.stdout.split())


def test_held_out_numbers_do_not_change_the_network(run, shards):
    net = recipes.PRESETS["tiny"].network(64).train()
    before = {name: weight.clone() for name, weight in net.state_dict().items()}
    evaluate.evaluate(net, Shards(shards), ["dev"], 2, ("none",), ())
    assert net.training and all(torch.equal(weight, before[name]) for name, weight in net.state_dict().items())


@pytest.fixture
def graphs(monkeypatch):
    """How many graphs Dynamo has made so far, blocks being compiled by nothing that takes time."""
    torch._dynamo.reset()
    monkeypatch.setattr(torch.nn.Module, "compile", lambda self: _compile(self, backend="eager"))
    torch._dynamo.utils.counters.clear()
    with torch._dynamo.config.patch(recompile_limit=8):
        yield lambda: torch._dynamo.utils.counters["frames"]["ok"]
    torch._dynamo.reset()


_compile = torch.nn.Module.compile


@pytest.mark.filterwarnings("ignore:The .grad attribute")  # Dynamo looks at it
def test_a_compiled_network_is_judged_and_sampled_uncompiled(run, shards, graphs):
    """By the very weights: each mode and length would be compiled anew, up to Dynamo's limit."""
    trained, batch = make(compile=True), batch_of(shards)
    trained.step(0, batch, 0.0)
    made, plain = graphs(), trained.whole(lambda: recipes.PRESETS["tiny"].network(64))
    evaluate.evaluate(plain, Shards(shards), ["dev"], 2, ("none",), ())
    assert made == graphs() == 1
    own = trained.net.state_dict()
    assert all(weight.data_ptr() == own[name].data_ptr() for name, weight in plain.state_dict().items())


@pytest.mark.filterwarnings("ignore:The .grad attribute")
def test_more_blocks_than_dynamos_limit_are_compiled(run, shards, graphs, monkeypatch):
    """AMT's differ by a constant: of twelve the last four were not, in silence."""
    preset = replace(recipes.PRESETS["amt-tiny"], config=gpt2.Config(10, 32, 2))
    monkeypatch.setitem(recipes.PRESETS, "amt-tiny", preset)
    make("amt-tiny", compile=True).step(0, batch_of(shards, "amt-tiny", 1), 0.0)
    assert graphs() == 10


class Asked(torch.utils._python_dispatch.TorchDispatchMode):
    """What a GPU would have to be waited for: numbers read, sizes that depend on values, tensors made of lists."""

    names = ("_local_scalar_dense", "nonzero", "lift_fresh", "masked_select")

    def __init__(self) -> None:
        super().__init__()
        self.found: list[str] = []

    def __torch_dispatch__(self, func, types, args=(), kwargs=None):
        name = func.overloadpacket.__name__
        masked = name == "index" and any(i is not None and i.dtype == torch.bool for i in args[1])
        self.found += [name] * (masked or name in self.names)
        return func(*args, **(kwargs or {}))


@pytest.mark.parametrize("preset", ["tiny", "amt-tiny"])
def test_a_step_waits_for_its_device_once(run, shards, monkeypatch, preset):
    """To read what the guard has to know. What is known of a batch on the CPU is found out there."""
    full = recipes.PRESETS[preset]
    recipe = replace(full.recipe, sliced=False) if preset == "amt-tiny" else full.recipe
    monkeypatch.setitem(recipes.PRESETS, preset, replace(full, recipe=recipe))
    trained, batch, read = make(preset, micro=1), batch_of(shards, preset), []
    tolist, rows = torch.Tensor.tolist, float(recipe.count(batch))
    parts = iter([recipe.told(part) for part in trained.parts(batch)])
    monkeypatch.setattr(type(recipe), "told", lambda self, part: next(parts))
    monkeypatch.setattr(type(recipe), "count", lambda self, batch: rows)
    monkeypatch.setattr(torch.Tensor, "tolist", lambda self: read.append(1) or tolist(self))
    for optimizer in trained.optimizers:  # whose counters are on the CPU anyhow
        optimizer.step = lambda: None
    with Asked() as asked:
        values, good = trained.step(0, batch, 0.0)
    assert good and values["loss"] > 0 and read == [1] and not asked.found


def test_a_state_of_another_torch_or_device_goes_on(run):
    """Its optimizers had other options, and a GPU's were fused; of another optimizer it is refused without config.json,
    too."""
    whole, folder = run("whole"), run("a", "--steps", "2")
    old = torch.load(folder / "state.pt", weights_only=True)
    for group in old["optimizers"][1]["param_groups"]:
        group |= {"fused": True, "unheard_of": 1}
        del group["decoupled_weight_decay"]
    torch.save(old, folder / "state.pt")
    assert state(run("a", "--resume")) == state(whole)
    (folder / "config.json").unlink()
    run("a", "--resume", "--optimizer", "adamw", code=2)


def test_loaders_by_default_are_a_gpus_share_of_the_cores(monkeypatch):
    monkeypatch.setattr(recipes.os, "sched_getaffinity", lambda _: range(64), raising=False)
    assert (
        recipes.loader_processes(None, False) == 0
        and recipes.loader_processes(None, True) == 8
        and recipes.loader_processes(3, True) == 3
    )
    monkeypatch.setenv("LOCAL_WORLD_SIZE", "16")
    assert recipes.loader_processes(None, True) == 3 and args_of().workers is None


def test_held_out_numbers_are_in_float32_as_it_is(run, monkeypatch):
    judged, precisions = train.evaluate, []

    def noted(*args):
        precisions.append(torch.get_float32_matmul_precision())
        return judged(*args)

    monkeypatch.setattr(train, "evaluate", noted)
    run("a", "--eval-every", "2")
    assert precisions == ["highest"] * 3 and torch.get_float32_matmul_precision() == "high"


@pytest.mark.skipif(sys.platform == "win32", reason="signals of a process group")
def test_sigterm_to_all_processes_saves(launch, tmp_path):
    """As Slurm and torchrun send it: a loader process that died of it ended the run before it was saved."""
    ended = launch("a", "--workers", "2", "--steps", "1000", "--save-every", "1000", "--length", "64", term_at=3)
    assert ended.returncode == 128 + signal.SIGTERM, ended.stderr[-2000:]
    assert "which is saved" in ended.stderr and state(tmp_path / "a")["step"] == 4


STUB = """#!/usr/bin/env bash
printf '%s\\n' "$(basename "$0")" "$@" > "$SAID/$$"
"""


@pytest.mark.skipif(shutil.which("bash") is None, reason="no bash")
@pytest.mark.parametrize("script", ["runs/default.sh", "slurm.sh", "README.md"])
def test_every_line_that_is_told_has_flags_that_are_known(tmp_path, monkeypatch, script):
    """The run files and the README's lines, run with everything that does something put aside."""
    for name in ("python", "torchrun", "srun", "scontrol", "cp", "anticipate"):
        (tmp_path / name).write_text(STUB)
        (tmp_path / name).chmod(0o755)
    path, told = ROOT / "train" / script, ["CORPUS", "WORK"]
    if script == "slurm.sh":
        told = ["--preset", "base", "--data", "SHARDS", "--out", "RUN"]
    if script == "README.md":
        lines = [line for line in (ROOT / script).read_text(encoding="utf-8").splitlines() if "python train/" in line]
        (path := tmp_path / "lines.sh").write_text("\n".join(line for line in lines if line.startswith("python ")))
    (said := tmp_path / "said").mkdir()  # a file for each, since some run side by side
    env = {"PATH": f"{tmp_path}:{os.environ['PATH']}", "SAID": str(said), "SLURM_SUBMIT_DIR": str(ROOT)}
    env |= {"SLURM_JOB_NODELIST": "a", "SLURM_NNODES": "1", "SLURM_JOB_ID": "1"}
    subprocess.run(["bash", str(path), *told], env=env, check=True, cwd=ROOT)
    calls = [call for path in said.iterdir() if "train/train.py" in (call := path.read_text().splitlines())]
    assert calls
    for call in calls:
        asked = train.flags().parse_args(call[call.index("train/train.py") + 1 :])
        assert train.chosen(asked) and (not asked.init or asked.init != asked.out)
