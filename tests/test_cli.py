"""The command: files in, files out, few words; its flags do what they say."""

import json
import os
import shutil
import subprocess
import sys

import numpy as np
import pytest

from anticipation import commands
from anticipation.cli import main
from anticipation.errors import RequestError
from anticipation.music.notes import DRUMS, Notes
from anticipation.music.tempo import TempoMap
from anticipation.score.midi import Score, read, write

TASKS = ["accompany", "infill", "continue", "vary", "harmonize"]
HOLE = {"infill": ["--bars", "3-4"]}  # what a task cannot do without
SHORT = {"accompany": ["--end", "2"], "vary": ["--start", "2", "--end", "4"], "continue": ["--seconds", "2"], **HOLE}


def run(*argv) -> subprocess.CompletedProcess:
    return subprocess.run([sys.executable, "-m", "anticipation", *argv], capture_output=True, text=True, timeout=120)


def test_help_names_every_command():
    result = run("--help")
    assert result.returncode == 0 and not result.stderr
    assert all(f"    {command}" in result.stdout for command in [*TASKS, "demo", "info", "render", "tokens"])


@pytest.mark.skipif(sys.platform != "linux", reason="torch has GNU OpenMP on Linux alone")
@pytest.mark.parametrize(
    "told, spins", [({}, "3000"), ({"GOMP_SPINCOUNT": "7"}, "7"), ({"OMP_WAIT_POLICY": "passive"}, "0")]
)
def test_idle_threads_leave_the_cores_to_others(told, spins, random_checkpoint):
    env = {k: v for k, v in os.environ.items() if k not in ("GOMP_SPINCOUNT", "OMP_WAIT_POLICY")} | told
    line = [sys.executable, "-m", "anticipation", "info", str(random_checkpoint)]
    env |= {"OMP_DISPLAY_ENV": "verbose"}
    said = subprocess.run(line, env=env, capture_output=True, text=True, timeout=120).stderr
    assert f"GOMP_SPINCOUNT = '{spins}'" in said


def test_a_real_process_from_file_to_file(melody, random_checkpoint, tmp_path):
    out = tmp_path / "out.mid"
    flags = "--end 1 --json --seed 1".split()
    line = ["accompany", str(melody), "-o", str(out), "--model", str(random_checkpoint), *flags]
    result = run(*line)
    assert result.returncode == 0 and json.loads(result.stdout)["output"] == [str(out)] and out.exists()
    again = run(*line)
    assert again.returncode == 2 and not again.stdout
    assert again.stderr == f"anticipate: {out} exists already; --force overwrites it\n"


@pytest.mark.skipif(sys.platform != "linux", reason="where a full disk is a file")
@pytest.mark.parametrize("unbuffered", ["", "1"])
def test_output_that_nobody_reads_or_that_has_no_room_is_no_traceback(melody, unbuffered):
    line = [sys.executable, "-m", "anticipation", "tokens", str(melody)]
    closed = subprocess.run(["sh", "-c", 'exec "$@" >&-', "sh", *line], stderr=subprocess.PIPE, timeout=120)
    assert (closed.returncode, closed.stderr) == (0, b"")
    reader, writer = os.pipe()
    os.close(reader)
    full = os.open("/dev/full", os.O_WRONLY)
    for output, code, told in (
        (writer, 0, b""),
        (full, 2, b"anticipate: cannot write: No space left on device\n"),
    ):
        env = os.environ | {"PYTHONUNBUFFERED": unbuffered}
        result = subprocess.run(line, stdout=output, stderr=subprocess.PIPE, env=env, timeout=120)
        os.close(output)
        assert (result.returncode, result.stderr) == (code, told)


def test_info_of_names_that_the_terminal_has_no_letters_for(melody, tmp_path):
    score = read(melody)
    named = score.data.replace(b"\xff\x03\x05flute", b"\xff\x03\x05x\xe3\x83\x94y")
    assert named != score.data
    (tmp_path / "named.mid").write_bytes(named)
    line = [sys.executable, "-m", "anticipation", "info", str(tmp_path / "named.mid")]
    result = subprocess.run(
        line, capture_output=True, timeout=120, env=os.environ | {"PYTHONIOENCODING": "cp1252", "PYTHONUTF8": "0"}
    )
    assert result.returncode == 0 and b"x?y: 32 notes" in result.stdout and not result.stderr


def test_info_without_a_name_is_of_the_shipped_checkpoint_wherever_one_stands(anticipate, tmp_path, monkeypatch):
    (tmp_path / "manifest.json").write_text('{"name": "a web page"}')
    monkeypatch.chdir(tmp_path)
    code, out, _ = anticipate("info")
    assert code == 0 and "fingerprint" in out


def test_what_is_converted_knows_its_training_set_and_info_tells_its_card(random_checkpoint, anticipate, tmp_path):
    source = shutil.copytree(random_checkpoint, tmp_path / "tuned")
    config = json.loads((source / "config.json").read_text())
    config["card"] |= {"before": 3.6456789012345678, "after": 2.0, "proof": [1 / 3]}
    (source / "config.json").write_text(json.dumps(config))
    (source / "memory.npz").write_bytes(b"lines")
    assert anticipate("convert", source, "-o", tmp_path / "half", "--dtype", "bfloat16")[0] == 0
    assert (tmp_path / "half" / "memory.npz").read_bytes() == b"lines"
    lines = anticipate("info", tmp_path / "half")[1].split("\n")
    assert {"before: 3.64568", "after: 2", "  0.333333"} <= set(lines)


@pytest.mark.parametrize(
    "flags",
    [[], ["polka"], ["accompany"], ["accompany", "a.mid"], ["accompany", "a.mid", "-o", "b.mid", "--takes", "x"]],
)
def test_flags_that_make_no_sense_are_told_in_one_line_and_exit_with_2(flags, capsys):
    with pytest.raises(SystemExit) as stop:
        main(flags)
    told, command = capsys.readouterr().err, "anticipate accompany" if flags[:1] == ["accompany"] else "anticipate"
    assert stop.value.code == 2 and told.startswith(f"{command}: ") and told.endswith(f"; see {command} --help\n")
    assert told.count("\n") == 1


@pytest.mark.parametrize("task", TASKS)
def test_every_task_writes_a_file_and_one_line_of_facts(anticipate, melody, tmp_path, task):
    out = tmp_path / "out.mid"
    code, stdout, stderr = anticipate(task, melody, "-o", out, "--seed", 3, "--json", *SHORT.get(task, []))
    facts = json.loads(stdout)
    assert code == 0 and stdout.count("\n") == 1 and "seed 3\n" in stderr
    assert set(facts) == {"output", "takes", "events", "seconds", "compute_seconds", "seed", "model"}
    assert (facts["output"], facts["takes"], facts["seed"]) == ([str(out)], 1, 3) and len(facts["model"]) == 12
    score = read(out)
    ours = [part for part in score.parts if part.stamp]
    assert facts["events"] == sum(part.mask.sum() for part in ours)
    assert all(f"checkpoint {facts['model']}; seed 3" in part.stamp for part in ours)
    assert f"{out}: {facts['events']} notes" in stderr


def test_the_same_seed_writes_the_same_file(anticipate, melody, tmp_path):
    for name, seed in (("a.mid", 1), ("b.mid", 1), ("c.mid", 2)):
        anticipate("accompany", melody, "-o", tmp_path / name, "--seed", seed, "--end", 2)
    a, b, c = ((tmp_path / name).read_bytes() for name in ("a.mid", "b.mid", "c.mid"))
    assert a == b != c


def test_a_seed_that_is_drawn_is_printed_and_can_be_used_again(anticipate, melody, tmp_path):
    _, _, stderr = anticipate("accompany", melody, "-o", tmp_path / "a.mid", "--end", 2)
    seed = stderr.split("seed ")[1].strip()
    anticipate("accompany", melody, "-o", tmp_path / "b.mid", "--end", 2, "--seed", seed)
    assert (tmp_path / "a.mid").read_bytes() == (tmp_path / "b.mid").read_bytes()


def test_takes_are_numbered_and_independent_of_their_count(anticipate, melody, tmp_path):
    code, stdout, _ = anticipate(
        "accompany", melody, "-o", tmp_path / "a.mid", "--takes", 3, "--seed", 1, "--end", 2, "--json"
    )
    names = ["a-1.mid", "a-2.mid", "a-3.mid"]
    assert code == 0 and json.loads(stdout)["output"] == [str(tmp_path / name) for name in names]
    assert sorted(path.name for path in tmp_path.glob("a*")) == names
    anticipate("accompany", melody, "-o", tmp_path / "one.mid", "--seed", 1, "--end", 2)
    first, second, _ = ((tmp_path / name).read_bytes() for name in names)
    assert first == (tmp_path / "one.mid").read_bytes() != second


def test_several_inputs_go_to_a_folder_under_their_names(anticipate, melody, tmp_path):
    other = tmp_path / "other.mid"
    other.write_bytes(melody.read_bytes())
    code, stdout, _ = anticipate("accompany", melody, other, "-o", tmp_path / "new" / "er", "--end", 2, "--json")
    assert code == 0 and json.loads(stdout)["output"] == [
        str(tmp_path / "new" / "er" / n) for n in ("melody.mid", "other.mid")
    ]
    code, _, _ = anticipate("accompany", melody, "-o", tmp_path / "new", "--end", 2)  # a folder that exists
    assert code == 0 and (tmp_path / "new" / "melody.mid").exists()
    code, _, stderr = anticipate("accompany", melody, other, "-o", tmp_path / "both.mid", "--end", 2)
    assert code == 2 and "several inputs need a folder" in stderr and not (tmp_path / "both.mid").exists()


def test_a_part_may_have_a_comma_in_its_name(anticipate, melody, tmp_path):
    score = read(melody)
    data = score.with_notes(score.notes.replace(instrument=np.full(32, 42))).data
    melody.write_bytes(data.replace(b"\x05flute", b"\x05a, b1").replace(b"\x05cello", b"\x05a, b2"))
    for parts, written in (("a, b1", 1), ("A, b2 ", 1), ("0, 1", 2)):
        out = tmp_path / "out.mid"
        assert anticipate("infill", melody, "-o", out, "--bars", "2", "--parts", parts, "--force")[0] == 0
        assert sum(part.fills for part in read(out).parts) == written


def test_karaoke_comes_out_as_midi(anticipate, melody, tmp_path):
    melody.rename(tmp_path / "song.kar")
    (tmp_path / "new").mkdir()
    assert anticipate("infill", tmp_path / "song.kar", "-o", tmp_path / "new", "--bars", "3")[0] == 0
    assert [path.name for path in (tmp_path / "new").iterdir()] == ["song.mid"]


def test_of_several_inputs_an_error_names_its_own_before_anything_is_written(anticipate, melody, tmp_path):
    short = tmp_path / "short.mid"
    write(Score.from_notes(read(melody).notes.between(0.0, 2.0)), short)
    code, _, stderr = anticipate("infill", melody, short, "-o", tmp_path / "new", "--bars", "3")
    assert code == 2 and stderr == f"anticipate: {short}: bars 3-3 are not in the piece, which has 1 bars\n"
    assert not (tmp_path / "new").exists()


def test_inputs_of_one_name_are_not_written_over_each_other(anticipate, melody, tmp_path):
    (tmp_path / "b").mkdir()
    (tmp_path / "b" / "melody.mid").write_bytes(melody.read_bytes())
    code, _, stderr = anticipate("accompany", melody, tmp_path / "b" / "melody.mid", "-o", tmp_path / "out", "--force")
    assert code == 2 and "two inputs would both be written to" in stderr and not (tmp_path / "out").exists()


def test_an_input_is_overwritten_only_by_force(anticipate, melody):
    before = melody.read_bytes()
    assert anticipate("accompany", melody, "-o", melody, "--end", 2)[0] == 2 and melody.read_bytes() == before
    assert anticipate("accompany", melody, "-o", melody, "--end", 2, "--force")[0] == 0
    assert len(read(melody).parts) == 2 and read(melody).parts[0].stamp == ""


def test_quiet_is_silent(anticipate, melody, tmp_path):
    assert anticipate("accompany", melody, "-o", tmp_path / "a.mid", "-q", "--end", 2) == (0, "", "")


def test_limits_of_the_command_line_reach_the_file(anticipate, melody, tmp_path):
    flags = ["--scale", "D minor", *"--range D3-A4 --polyphony 1 --density 2 --instruments bass,34,drums".split()]
    assert anticipate("accompany", melody, "-o", tmp_path / "a.mid", "--seed", 2, *flags)[0] == 0
    score = read(tmp_path / "a.mid")
    (bass, drums) = (score.notes[part.mask] for part in score.parts if part.stamp and part.instrument in (33, 128))
    assert 50 <= bass.pitch.min() <= bass.pitch.max() <= 69 and len(drums)
    assert (bass.offset[:-1] <= bass.onset[1:] + 1e-9).all()


@pytest.mark.parametrize(
    "flags, start, end",
    [(["--bars", "2-3"], 2, 6), (["--bars", "8"], 14, 16), (["--start", "1.5", "--end", "2.25"], 1.5, 2.25)],
)
def test_a_hole_in_bars_or_seconds(anticipate, melody, tmp_path, flags, start, end):
    assert anticipate("infill", melody, "-o", tmp_path / "a.mid", "--seed", 1, *flags)[0] == 0
    before, after = read(melody).notes, read(tmp_path / "a.mid")
    kept = after.notes[after.parts[0].mask]
    assert kept == before[(before.onset < start) | (before.onset >= end)]


@pytest.mark.parametrize(
    "text, wanted",
    [(None, (None, None)), ("48-72", (48, 72)), ("C3-C5", (48, 72)), ("c3 - g#4", (48, 68)), ("C-1-G9", (0, 127)),
     ("48-C5", (48, 72)), ("Bb2-Eb3", (46, 51)), ("0-127", (0, 127)), ("60-60", (60, 60))],
)  # fmt: skip
def test_a_range_is_of_pitches_by_number_or_by_name(text, wanted):
    assert commands.pitch_range(text) == wanted


@pytest.mark.parametrize(
    "text", ["", "48", "-", "48-", "-72", "H2-C3", "48-72-90", "C3", "C-C", "low-high", "²-5", "5 6"]
)
def test_what_is_no_range_is_refused(text):
    with pytest.raises(RequestError, match="^unknown range"):
        commands.pitch_range(text)


@pytest.mark.parametrize(
    "flags, words",
    [
        (["--bars", "two"], "unknown bars 'two'"),
        (["--bars", "3-2"], "bars 3-2 are not in the piece, which has 8 bars"),
        (["--bars", "0-1"], "bars 0-1 are not"),
        (["--bars", "8-9"], "bars 8-9 are not"),
        (["--bars", "²"], "unknown bars"),
        (["--bars", "3-"], "unknown bars '3-'"),
        (["--bars", "1-2", "--start", "3"], "not both"),
        ([], "infill needs a hole"),
        (["--start", "3"], "infill needs a hole"),
    ],
)
def test_a_hole_that_is_none_is_refused(anticipate, melody, tmp_path, flags, words):
    code, _, stderr = anticipate("infill", melody, "-o", tmp_path / "a.mid", *flags)
    assert code == 2 and words in stderr and stderr.count("\n") == 1


def test_chords_are_named_on_the_way(anticipate, melody, tmp_path):
    _, _, stderr = anticipate("accompany", melody, "-o", tmp_path / "a.mid", "--chords", "| C | F G |")
    assert "notes on | C | F G | C | F G | C | F G | C | F G |\n" in stderr
    _, _, stderr = anticipate("accompany", melody, "-o", tmp_path / "b.mid", "--bars", "7-8")
    assert stderr.count("|") == 3, "two bars of a plan, not eight"
    _, _, stderr = anticipate(
        "accompany", melody, "-o", tmp_path / "c.mid", "--bars", "3-5", "--chords", "| C | G | % |"
    )
    assert "notes on | C | G | G |\n" in stderr, "to the end, also where the last chord stays"
    _, _, stderr = anticipate("accompany", melody, "-o", tmp_path / "e.mid", "--bars", "3-5", "--chords", "flute")
    assert stderr.count("|") == 4, "of a part that plays them those of the span"
    _, _, stderr = anticipate("continue", melody, "-o", tmp_path / "d.mid", "--bars", "2")
    assert stderr.count("|") == 3, "not the rest of the bar in which the last note ends"
    chart = ("--bars", "2", "--chords", "| C | G |")
    _, _, stderr = anticipate("continue", melody, "-o", tmp_path / "f.mid", *chart)
    assert "notes on | C | G |\n" in stderr, "nor does a chart begin there"


@pytest.mark.parametrize("sharps, chart", [(-3, "Eb Ab Bb Cm"), (4, "E A B G#m")])
def test_chords_are_spelled_in_the_key_of_the_file(anticipate, melody, tmp_path, sharps, chart):
    """By its key signature, and what a symbol is taken for is told."""
    signed = read(melody).data.replace(
        b"\xff\x58\x04\x04\x02", b"\xff\x59\x02%c\0\0\xff\x58\x04\x04\x02" % (sharps % 256)
    )
    start = signed.index(b"MTrk") + 4
    length = int.from_bytes(signed[start : start + 4], "big") + 6
    melody.write_bytes(signed[:start] + length.to_bytes(4, "big") + signed[start + 4 :])
    asked = "| D#6 G# | A# Cm |" if sharps < 0 else "| Fb6 A | Cb Abm |"
    _, _, stderr = anticipate("harmonize", melody, "-o", tmp_path / "a.mid", "--chords", asked)
    one, two, three, four = chart.split()
    assert f" on | {one} {two} | {three} {four} | {one} " in stderr
    first = asked.split()[1]
    assert stderr.count(f"chords: {first} is taken for {one}\n") == 1
    assert f"key signature of: {one}\n" in anticipate("info", melody)[1]


def test_info_of_a_file_and_of_a_checkpoint(anticipate, melody, random_checkpoint):
    _, stdout, _ = anticipate("info", melody, "--json")
    facts = json.loads(stdout)
    assert (
        facts["notes"] == 32 and facts["tempo"] == "120.0 bpm" and facts["parts"] == ["0 flute: 32 notes, pitch 72-81"]
    )
    assert "notes: 32\n" in anticipate("info", melody)[1]
    assert "\nlikely key signature of: " in anticipate("info", melody)[1]
    tempo = TempoMap(
        480, ((0, 500_000), (960, 500_000), (1920, 600_000)), tuple((960 * i, 2 + i % 2, 4) for i in range(9))
    )
    write(Score.from_notes(Notes.of([(9.0, 1.0, 38, DRUMS, 80)]), tempo), melody.with_name("drum.mid"))
    told = anticipate("info", melody.with_name("drum.mid"))[1]
    assert "tempo: 100.0-120.0 bpm, changes: 1\n" in told and "2/4, 3/4, 1 more\n" in told and "key" not in told
    _, stdout, _ = anticipate("info", random_checkpoint, "--json")
    assert json.loads(stdout)["name"] == "random" and "depth: 1\n" in anticipate("info", random_checkpoint)[1]


def test_tokens_are_the_rows_of_the_stream(anticipate, melody):
    _, stdout, _ = anticipate("tokens", melody, "--melody", "flute", "--ids")
    rows = [[int(x) for x in line.split()] for line in stdout.splitlines()]
    assert [row[0] for row in rows] == [0] + [2] * 11 and {len(row) for row in rows} == {13}  # five seconds ahead
    assert len(anticipate("tokens", melody)[1].splitlines()) == 1 + 1 + 32  # a head, a start row, the notes
    score = read(melody)
    write(score.with_notes(score.notes.transpose(-12)), melody, force=True)
    _, stdout, _ = anticipate("tokens", melody, "--melody", "0")
    kinds = [line.split()[0] for line in stdout.splitlines()]
    assert kinds.count("event") == kinds.count("echo") == 32, "what is given of the part that is written comes again"


@pytest.mark.parametrize("name", ["a.wav", "a.png"])
def test_a_file_is_rendered_as_sound_or_picture(anticipate, melody, tmp_path, name):
    assert anticipate("render", melody, "-o", tmp_path / name)[0] == 0 and (tmp_path / name).stat().st_size > 1000
    assert anticipate("render", melody, "-o", tmp_path / name)[0] == 2
    assert anticipate("render", melody, "-o", tmp_path / name, "--force")[0] == 0
    assert anticipate("render", melody, "-o", tmp_path / "a.mp3")[0] == 2


def test_ctrl_c_ends_in_one_line_and_leaves_nothing_half_written(anticipate, melody, tmp_path, monkeypatch):
    def stop(*_, **__):
        raise KeyboardInterrupt

    monkeypatch.setattr("anticipation.infilling.tasks.accompany", stop)
    code, _, stderr = anticipate("accompany", melody, "-o", tmp_path / "a.mid")
    assert code == 130 and stderr.count("\n") == 1 and not (tmp_path / "a.mid").exists()
