"""Bad input: one clear line, exit code 2, nothing written, nothing lost. What is merely odd: one line, and done."""

import errno
import json
import os
import queue
import shutil
import signal
import threading
from pathlib import Path
from types import SimpleNamespace

import pytest

from anticipation.errors import LiveError
from anticipation.music.notes import DRUMS, Notes
from anticipation.music.tempo import TempoMap
from anticipation.score.midi import Score, read, write
from plugin_bridge import child
from plugin_bridge.mind import Mind, think


@pytest.fixture
def refused(anticipate, tmp_path):
    """refused(*argv, words): the command says these words on one line, exits with 2 and leaves the folder as it was."""

    def check(*argv, words: str, **options) -> None:
        before = {path: path.is_file() and path.read_bytes() for path in tmp_path.rglob("*")}
        code, stdout, stderr = anticipate(*argv, **options)
        assert code == 2 and not stdout
        assert stderr.startswith("anticipate: ") and stderr.count("\n") == 1 and stderr.endswith("\n")
        assert words in stderr
        assert {path: path.is_file() and path.read_bytes() for path in tmp_path.rglob("*")} == before

    return check


def one_track(body: str) -> bytes:
    """A file with one track of these events."""
    data = bytes.fromhex(body)
    return bytes.fromhex("4d546864 00000006 0001 0001 01e0 4d54726b") + len(data).to_bytes(4, "big") + data


GOOD = Score.from_notes(Notes.of([(0.5 * i, 0.4, 60, 0, 64) for i in range(16)])).data
FILES = {"truncated": (GOOD[:-9], "cut short"), "no notes": (one_track("00ff2f00"), "no notes")}


@pytest.mark.parametrize("data, words", FILES.values(), ids=FILES)
@pytest.mark.parametrize("task", ["accompany", "continue", "harmonize", "vary"])
def test_files_that_are_no_music(refused, tmp_path, data, words, task):
    """All that a file can have wrong: test_midi.py."""
    (tmp_path / "in.mid").write_bytes(data)
    refused(task, tmp_path / "in.mid", "-o", tmp_path / "out.mid", words=words)


@pytest.mark.parametrize("command", ["info", "tokens", "render"])
def test_other_commands_say_it_in_one_line_too(refused, tmp_path, command):
    (tmp_path / "in.mid").write_bytes(GOOD[:-9])
    refused(
        command, tmp_path / "in.mid", *(["-o", tmp_path / "out.wav"] if command == "render" else []), words="cut short"
    )
    refused(
        command, tmp_path / "no.mid", *(["-o", tmp_path / "out.wav"] if command == "render" else []), words="no.mid"
    )


def test_paths_that_hold_no_file(refused, tmp_path, melody):
    refused("accompany", tmp_path / "none.mid", "-o", tmp_path / "out.mid", words="cannot read")
    refused("accompany", tmp_path, "-o", tmp_path / "out.mid", words="cannot read")
    refused("accompany", melody, tmp_path / "none.mid", "-o", tmp_path / "out", words="cannot read")


@pytest.mark.parametrize(
    "flags, words",
    [
        (["--start", "100", "--end", "110"], "not inside the piece"),
        (["--start", "4", "--end", "100"], "not inside the piece"),
        (["--start", "6", "--end", "4"], "not inside the piece"),
        (["--start", "-3"], "not inside the piece"),
        (["--end", "nan"], "not inside the piece"),
        (["--end", "inf"], "not inside the piece"),
        (["--bars", "7-12"], "bars 7-12 are not in the piece"),
        (["--instruments", "kazoo"], "unknown instrument 'kazoo'"),
        (["--instruments", "piano,,bass"], "unknown instrument ''"),
        (["--melody", "tuba"], "no part 'tuba'"),
        (["--melody", "7"], "no part '7'"),
        (["--scale", "C mayor"], "unknown scale 'C mayor'"),
        (["--scale", "H major"], "H"),
        (["--range", "high"], "unknown range 'high'"),
        (["--range", "72-48"], "range 72-48 is empty"),
        (["--range", "100-200"], "range 100-200"),
        (["--scale", "C pentatonic", "--range", "65-66"], "no pitch from 65 to 66"),
        (["--chords", "| C | Q |"], "unknown chord 'Q'"),
        (["--chords", "||"], "no chords between the bar lines"),
        (["--style", "polka"], "unknown style 'polka'"),
        (["--polyphony", "0"], "at least 1"),
        (["--density", "-2"], "density 0 (free) or more"),
        (["--takes", "0"], "--takes must be 1 to"),
        (["--takes", "1000000"], "--takes must be 1 to"),
        (["--top-p", "0"], "--top-p"),
        (["--best-of", "0"], "--best-of"),
        (["--best-of", "33"], "--best-of"),
        (["--top-p", "nan"], "--top-p"),
        (["--temperature", "0"], "--temperature"),
        (["--temperature", "nan"], "--temperature"),
        (["--seed", "-1"], "--seed is 0 or more"),
        (["--threads", "-1"], "--threads must be at least 1"),
        (["--device", "cuda"], "no CUDA device here"),
    ],
    ids=lambda value: " ".join(value) if isinstance(value, list) else "",
)
def test_requests_that_cannot_be_met_are_refused_in_one_line(refused, melody, tmp_path, flags, words):
    import torch

    if flags[0] == "--device" and torch.cuda.is_available():
        pytest.skip("there is one")
    refused("accompany", melody, "-o", tmp_path / "out.mid", *flags, words=words)


@pytest.mark.parametrize(
    "flags, words",
    [("--seconds 0", "more than 0"), ("--seconds nan", "more than 0"), ("--seconds inf", "longer than 4 hours"),
     ("--seconds 1e9", "longer than 4 hours"), ("--start 99", "outside the piece"), ("--start nan", "outside")],
)  # fmt: skip
def test_continuations_that_lead_nowhere(refused, melody, tmp_path, flags, words):
    refused("continue", melody, "-o", tmp_path / "out.mid", *flags.split(), words=words)


@pytest.mark.parametrize("delta", ["nan", "1e30", "-1"])
def test_an_anticipation_that_cannot_be(refused, melody, delta):
    refused("tokens", melody, f"--delta={delta}", words="--delta is 0 to")


@pytest.mark.parametrize("part", ["--1", "-", "9" * 5000])
def test_parts_that_are_no_numbers(refused, melody, tmp_path, part):
    refused("accompany", melody, "-o", tmp_path / "out.mid", f"--melody={part}", words="no part")


@pytest.mark.parametrize("command, suffix", [("accompany", ".mid"), ("render", ".wav")])
def test_names_that_no_file_can_have(refused, melody, tmp_path, command, suffix):
    refused(command, melody, "-o", tmp_path / ("x" * 300 + suffix), words="too long")


def test_what_a_demo_cannot_do_leaves_nothing_behind(refused, melody, tmp_path):
    """So it can be asked again."""
    out = tmp_path / "demo"
    refused("demo", "-o", out, "--seed", "-1", words="--seed is 0 or more")
    refused("demo", "-o", out, "--soundfont", tmp_path / "none.sf2", words="cannot read soundfont")
    refused("demo", "-o", out, "--soundfont", melody, words="is not a soundfont")


# ---- checkpoints -----------------------------------------------------------------------------------------------------


def spoil(folder, **changes) -> None:
    config = json.loads((folder / "config.json").read_text())
    (folder / "config.json").write_text(json.dumps(config | changes))


CHECKPOINTS = {
    "missing": (shutil.rmtree, "no checkpoint at"),
    "empty folder": (lambda f: [p.unlink() for p in f.iterdir()], "is no checkpoint"),
    "no weights": (lambda f: (f / "model.safetensors").unlink(), "model.safetensors is missing"),
    "config is no JSON": (lambda f: (f / "config.json").write_text("{"), "not JSON"),
    "config is binary": (lambda f: (f / "config.json").write_bytes(b"\xff\xfe\0"), "not JSON"),
    "config is a list": (lambda f: (f / "config.json").write_text("[]"), "family None"),
    "of Hugging Face": (lambda f: (f / "config.json").write_text('{"model_type": "bert"}'), "family 'bert'"),
    "of a GPT-2 that writes words": (
        lambda f: (f / "config.json").write_text('{"model_type": "gpt2"}'),
        "AMT's is 55028",
    ),
    "of the future": (lambda f: spoil(f, family="event-2"), "family 'event-2'"),
    "without depth": (lambda f: spoil(f, depth=None), "has depth None"),
    "of a monstrous size": (lambda f: spoil(f, depth=10**6), "asks for depth 1000000"),
    "of another depth": (lambda f: spoil(f, depth=2), "missing or broken"),
    "of another width": (lambda f: spoil(f, heads=2), "missing or broken"),
    "of endless depth": (lambda f: spoil(f, depth=float("inf")), "has depth inf"),
    "config is too deep": (lambda f: (f / "config.json").write_text("[" * 100_000), "not JSON"),
    "with a dropout": (lambda f: spoil(f, dropout=0.1, depth=2), "missing or broken"),
    "of AMT with a dropout in words": (
        lambda f: spoil(f, family="amt", layers=1, width=32, heads=2, dropout="some"),
        "has dropout 'some'",
    ),
    "of no heads": (lambda f: spoil(f, heads=0), "asks for heads 0"),
    "of heads in words": (lambda f: spoil(f, heads="two"), "has heads 'two'"),
    "of another clock": (lambda f: spoil(f, steps=50), "another encoding"),
    "of other fields": (lambda f: spoil(f, fields=[1, 2, 3, 4, 5]), "another encoding"),
    "of other features": (lambda f: spoil(f, features={}), "another encoding"),
    "truncated": (
        lambda f: (f / "model.safetensors").write_bytes((f / "model.safetensors").read_bytes()[:5000]),
        "broken",
    ),
    "empty weights": (lambda f: (f / "model.safetensors").write_bytes(b""), "broken"),
    "a pickle": (lambda f: (f / "model.safetensors").write_bytes(b"\x80\x04\x95" * 99), "broken"),
}


@pytest.mark.parametrize("spoiler, words", CHECKPOINTS.values(), ids=CHECKPOINTS)
def test_checkpoints_that_cannot_be_used(refused, melody, random_checkpoint, tmp_path, spoiler, words):
    folder = tmp_path / "model"
    shutil.copytree(random_checkpoint, folder)
    spoiler(folder)
    refused("accompany", melody, "-o", tmp_path / "out.mid", "--model", folder, words=words, model=None)


def test_info_of_what_is_no_checkpoint(refused, tmp_path, random_checkpoint):
    (tmp_path / "model").mkdir()
    refused("info", tmp_path / "model", words="is no checkpoint")
    shutil.copy(random_checkpoint / "config.json", tmp_path / "model")
    refused("info", tmp_path / "model", words="model.safetensors is missing")
    shutil.copy(random_checkpoint / "model.safetensors", tmp_path / "model")
    for config, words in (
        ({"family": "amt"}, "has layers None"),
        ({"family": "event", "card": "old"}, "has card 'old'"),
    ):
        (tmp_path / "model" / "config.json").write_text(json.dumps(config))
        refused("info", tmp_path / "model", words=words)


# ---- outputs ---------------------------------------------------------------------------------------------------------


def test_outputs_that_cannot_be(refused, melody, tmp_path):
    refused("accompany", melody, "-o", tmp_path / "no" / "out.mid", words="no folder")
    refused("accompany", melody, "-o", tmp_path / "out.txt", words="must end in .mid")
    refused("accompany", melody, "-o", melody / "out.mid", words="no folder")  # in a file
    refused("accompany", melody, melody, "-o", melody / "out", words="cannot make the folder")
    refused("accompany", melody, "-o", melody, words="exists already; --force overwrites it")


def test_a_folder_that_may_not_be_written(refused, melody, tmp_path):
    """/proc holds no files of ours, not even for root."""
    if not os.path.isdir("/proc"):
        pytest.skip("no /proc here")
    refused("accompany", melody, "-o", "/proc/out.mid", "--end", "1", words="cannot write")
    shutil.copy(melody, tmp_path / "other.mid")
    refused(
        "accompany", melody, tmp_path / "other.mid", "-o", "/proc/new", "--end", "1", words="cannot make the folder"
    )


def full(path, data):
    """Path.write_bytes on a disk that is full after 100 bytes."""
    with open(path, "wb") as file:
        file.write(data[:100])
    raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))


def test_a_full_disk_is_told_in_one_line(refused, melody, tmp_path, monkeypatch):
    monkeypatch.setattr(Path, "write_bytes", full)
    refused("accompany", melody, "-o", tmp_path / "out.mid", "--end", "1", words="No space left on device")
    refused("accompany", melody, "-o", melody, "--end", "1", "--force", words="No space left on device")


# ---- odd, not bad ----------------------------------------------------------------------------------------------------


def test_what_is_odd_is_repaired_and_told_in_one_line(anticipate, tmp_path):
    """All that can be odd: test_midi.py."""
    (tmp_path / "in.mid").write_bytes(one_track("00903c40 8360803c40"))
    flags = "--chords none --seed 1 --grid free".split()
    code, _, stderr = anticipate("accompany", tmp_path / "in.mid", "-o", tmp_path / "out.mid", *flags)
    told = [line for line in stderr.splitlines() if line.startswith(f"{tmp_path / 'in.mid'}: ")]
    assert code == 0 and told == [f"{tmp_path / 'in.mid'}: track 1 has no end-of-track event"]
    assert (tmp_path / "out.mid").exists()


@pytest.mark.parametrize("bpm", [4, 4000])
def test_absurd_but_possible_tempos_are_played_to(anticipate, tmp_path, bpm):
    notes = Notes.of([(0.5 * i, 0.4, 60, 73, 64) for i in range(16)])
    write(Score.from_notes(notes, TempoMap.constant(bpm)), tmp_path / "in.mid")
    assert anticipate("accompany", tmp_path / "in.mid", "-o", tmp_path / "out.mid", "--seed", "1")[0] == 0
    assert (
        anticipate("infill", tmp_path / "in.mid", "-o", tmp_path / "hole.mid", "--bars", "1-1", "--seed", "1")[0] == 0
    )


def test_forty_parts_are_not_too_many(anticipate, tmp_path):
    notes = Notes.of([(0.5 * i, 0.4, 50, program, 64) for i in range(4) for program in [*range(0, 78, 2), DRUMS]])
    write(Score.from_notes(notes), tmp_path / "in.mid")
    assert len(read(tmp_path / "in.mid").parts) == 40
    for task, flags in (
        ("accompany", ["--instruments", "piano,sitar,drums"]),
        ("infill", ["--start", "0", "--end", "1"]),
        ("continue", ["--seconds", "1"]),
    ):
        assert anticipate(task, tmp_path / "in.mid", "-o", tmp_path / f"{task}.mid", *flags)[0] == 0


def test_every_task_takes_a_pile_of_notes_at_tick_zero(anticipate, tmp_path):
    write(Score.from_notes(Notes.of([(0, 1, pitch, 0, 64) for pitch in range(128)])), tmp_path / "in.mid")
    for task in ("accompany", "continue", "vary", "harmonize"):
        assert anticipate(task, tmp_path / "in.mid", "-o", tmp_path / f"{task}.mid", "--seed", "1")[0] == 0


@pytest.mark.parametrize(
    "flags, words",
    [
        (["--model", "typo"], "no checkpoint at typo"),
        (["--threads", "0"], "--threads must be at least 1"),
        (["--device", "cuda"], "--device cuda: live playing is on the CPU; leave it out"),
        (["--port", "99999"], "--port is a port from 0 to 65535, not 99999"),
        (["--osc", "-1"], "--osc is a port from 0 to 65535, not -1"),
        (["--sync", "clock", "--play"], "--sync clock waits for the DAW to start; leave --play out"),
    ],
    ids=lambda value: " ".join(value) if isinstance(value, list) else "",
)
def test_what_live_cannot_do_is_told_before_it_opens_anything(refused, tmp_path, flags, words):
    refused("live", "--no-page", "--takes", tmp_path / "takes", *flags, words=words)


def test_a_mind_whose_parent_has_gone_while_it_loaded_ends_without_a_word(random_checkpoint):
    process, ours = child.start("mind", think, str(random_checkpoint), 1, "float32")
    ours.close()
    process.join(120)
    assert process.exitcode == 0


@pytest.mark.skipif(not hasattr(os, "killpg"), reason="a terminal of another kind")
def test_ctrl_c_before_a_child_has_come_to_itself_is_left_to_the_parent(tmp_path):
    process, ours = child.start("mind", think, str(tmp_path / "typo"), 1, "float32")
    os.kill(process.pid, signal.SIGINT)
    assert ours.poll(120) and ours.recv() == ("error", f"no checkpoint at {tmp_path / 'typo'}")
    process.join(120)
    assert process.exitcode == 0 and signal.SIGINT not in signal.pthread_sigmask(signal.SIG_BLOCK, [])


def test_a_mind_that_cannot_load_is_left_alone(tmp_path):
    """It says why when it is asked; no death is reported, so nobody starts another."""
    reports: queue.SimpleQueue = queue.SimpleQueue()
    mind = Mind(reports.put, str(tmp_path / "typo"))
    mind.start()
    try:
        for thread in threading.enumerate():
            if thread.name == "mind":
                thread.join(120)
        assert mind.state == "dead" and mind.broken == f"no checkpoint at {tmp_path / 'typo'}" and reports.empty()
    finally:
        mind.close()


def test_no_process_for_a_mind_is_one_line(monkeypatch):
    """Where there is no room for the first; where one died for want of memory, there may be none for another."""

    def start(process):
        raise OSError(12, "Cannot allocate memory")

    monkeypatch.setattr("multiprocessing.context.SpawnProcess.start", start)
    mind = Mind(lambda report: None)
    with pytest.raises(LiveError, match="no process to think: Cannot allocate memory"):
        mind.start()
    assert not mind.revive(0.0) and mind.state == "dead"


def test_a_mind_is_ended_without_being_waited_for():
    mind, done = Mind(lambda report: None), []
    mind._process = SimpleNamespace(kill=lambda: done.append("kill"), join=lambda seconds: done.append("join"),
                                    is_alive=lambda: True)  # fmt: skip
    mind.close()
    assert done == ["kill", "join"]


def test_a_question_that_is_longer_than_the_pipe_to_a_mind_that_hangs_holds_up_nobody():
    """It is asked under the lock that everything waits for."""
    mind, asked, over = Mind(lambda report: None), queue.SimpleQueue(), threading.Event()
    mind.state = "ready"
    mind._connection = SimpleNamespace(send=lambda ask: asked.put(ask.number) or over.wait(60))
    speaker = threading.Thread(target=mind._speak, args=(mind._connection,), daemon=True)
    speaker.start()
    mind.ask(SimpleNamespace(number=1))
    assert asked.get(timeout=60) == 1
    for number in (2, 3):
        mind.ask(SimpleNamespace(number=number))
    assert asked.empty() and not over.is_set()  # else we had waited for it
    over.set()
    mind._take(("begun", 1))
    assert asked.get(timeout=60) == 3
    mind._connection = None
    mind._take(("begun", 3))
    speaker.join(60)
    assert not speaker.is_alive()
