"""The recorder, of the App in virtual time: no take is lost, to a full disk, a crash, or another program."""

import os
import threading
import time
from pathlib import Path
from types import SimpleNamespace

import pytest
from virtual import key

from anticipation.score.midi import read
from plugin_bridge.recorder import Recorder
from plugin_bridge.take import LiveNote


def full_disk(*_):
    raise OSError(28, "No space left on device")


def until(true):
    """Wait for a thread."""
    end = time.monotonic() + 20.0
    while not true():
        assert time.monotonic() < end
        time.sleep(0.002)


def written(rehearsal, text) -> Path:
    """The journal of the take that runs, once it says this."""
    path = max(rehearsal.app.recorder.folder.glob(".take-*.journal"))
    until(lambda: text in path.read_text(encoding="utf-8"))
    return path


@pytest.fixture
def fill_disk(monkeypatch):
    """fill_disk(): no lines go into the journals of the takes that begin from now on."""

    def full(path, *_, **__):
        file = open(path, "w")
        return SimpleNamespace(write=full_disk, flush=full_disk, fileno=file.fileno, close=file.close)

    return lambda: monkeypatch.setattr("plugin_bridge.journal.open", full, raising=False)


def test_a_take_that_cannot_be_written_is_told_and_made_at_the_next_stop(rehearsal, fill_disk, monkeypatch):
    """Be there a journal of it or not; those that come after are takes of their own."""
    made = rehearsal()
    made.run(1.0, key(0.1, 60))
    with monkeypatch.context() as broken:
        broken.setattr(os, "replace", full_disk)
        made.app.act("stop")
        assert "No space" in made.told[-1] and made.told[-1].endswith("stop tries again")
        fill_disk()
        made.app.act("start")
        made.run(1.0, key(0.1, 62))
        made.app.act("stop")
        assert not made.taken() and not made.app.recorder.takes()
    made.app.act("stop")
    assert made.told[-1].count("take-") == 2 and [n.pitch.tolist() for n in made.taken()] == [[60], [62]]
    made.app.act("stop")
    made.app.recorder.settled(5.0)
    assert len(made.taken()) == 2 and not list(made.app.recorder.folder.glob(".take-*"))


def test_a_take_that_could_not_be_written_to_the_end_is_made_at_the_next_start(rehearsal, monkeypatch):
    made = rehearsal()
    made.run(1.0, key(0.1, 60))
    with monkeypatch.context() as broken:
        broken.setattr(os, "replace", full_disk)
        made.app.close()
    assert made.told[-1].startswith("the take could not be saved") and not made.taken()
    Recorder(made.app.recorder.folder)
    assert [n.pitch.tolist() for n in made.taken("rescued")] == [[60]]
    assert not list(made.app.recorder.folder.glob(".take-*"))


def test_a_take_that_its_folder_does_not_hold_is_saved_elsewhere(rehearsal, fill_disk, monkeypatch, tmp_path):
    """With no journal of it, it would be lost."""
    fill_disk()
    made, folder = rehearsal(), tmp_path / "elsewhere"
    folder.mkdir()
    monkeypatch.setattr("tempfile.tempdir", str(folder))
    made.run(1.0, key(0.1, 60))
    replace = os.replace
    monkeypatch.setattr(os, "replace", lambda a, b: replace(a, b) if folder in Path(b).parents else full_disk())
    made.app.close()
    (path,) = folder.glob("take-*.mid")
    assert made.told[-1] == f"saved in {folder}: {path.name}" and read(path).notes.pitch.tolist() == [60]


def test_nobody_who_plays_waits_for_a_disk(rehearsal, monkeypatch):
    """However long it takes until what is written is on it; until then there is a journal."""
    begun, over, asked = threading.Event(), threading.Event(), []

    def fsync(number):
        asked.append((threading.current_thread(), os.fstat(number).st_ino))
        begun.set()
        over.wait(20.0)

    monkeypatch.setattr(os, "fsync", fsync)
    made = rehearsal()
    made.run(1.0, key(0.1, 60))
    path = written(made, '"heard"')
    assert begun.wait(10.0)
    kept = made.app.act("keep")["name"]
    made.app.act("start")  # which ends the take
    made.run(1.0, key(0.1, 62))
    made.app.act("stop")
    assert [n.pitch.tolist() for n in made.taken()] == [[60], [62]] and path.exists()
    over.set()
    made.app.recorder.settled(10.0)
    folder = made.app.recorder.folder
    assert not list(folder.glob(".take*"))
    assert {file.stat().st_ino for file in (folder / kept, *folder.glob("*.mid"))} <= {number for _, number in asked}
    assert threading.current_thread() not in [thread for thread, _ in asked]


def test_two_programs_that_stop_at_the_same_moment_keep_a_take_each(monkeypatch, tmp_path):
    """As both do that follow one DAW's clock: the second looks for a name while the first writes its take."""
    first, second = Recorder(tmp_path), Recorder(tmp_path)
    for recorder, pitch in ((first, 60), (second, 62)):
        recorder.begin(0.0, 120.0)
        recorder.note("heard", LiveNote(0.1, 0.5, pitch, 0, 80, 0))
    replace, process = os.replace, os.getpid

    def meanwhile(draft, path):
        monkeypatch.setattr(os, "replace", replace)
        monkeypatch.setattr(os, "getpid", lambda: process() + 1)
        second.end(1.0)
        replace(draft, path)

    monkeypatch.setattr("plugin_bridge.recorder.time.strftime", lambda text: text.replace("%", ""))
    monkeypatch.setattr(os, "replace", meanwhile)
    first.end(1.0)
    kept = [read(path).notes.pitch.tolist() for path in sorted(tmp_path.glob("*.mid"), key=lambda path: path.stem)]
    assert kept == [[60], [62]]


def test_a_folder_of_takes_that_goes_is_made_again(rehearsal):
    """Somebody has moved it, while a take runs or between two."""
    made = rehearsal(listen=0)
    folder = made.app.recorder.folder
    for pitch in (60, 62):
        made.app.act("start")
        made.run(1.0, key(0.1, pitch))
        folder.rename(folder.parent / f"while {pitch}")
        made.app.act("stop")
        assert made.taken()[0].pitch.tolist() == [pitch]
        folder.rename(folder.parent / f"after {pitch}")
    assert "memory" not in "".join(made.told)


def test_a_take_of_five_hours_becomes_two_files_and_no_start_fails_for_an_old_one(rehearsal, monkeypatch):
    made = rehearsal()
    made.run(1.0, key(0.1, 60))
    made.now += 5 * 3600
    made.run(1.0, key(0.1, 62))
    made.app.act("stop")
    assert made.told[-1].count("take-") == 2 and [n.pitch.tolist() for n in made.taken()] == [[60], [62]]
    made.app.act("start")
    made.run(1.0, key(0.1, 64))
    with monkeypatch.context() as broken:
        broken.setattr(os, "replace", full_disk)
        made.app.recorder.begin(made.now, 120.0)
    made.run(1.0, key(0.1, 65))
    made.app.act("stop")
    assert made.taken()[-1].pitch.tolist() == [65]


def test_a_journal_that_cannot_be_read_or_deleted_costs_no_other(tmp_path):
    """Another user's; on Windows, one that another instance writes."""
    (tmp_path / ".take-999999998.journal").mkdir()
    (tmp_path / ".take-999999999.journal").write_text('["heard", 0.0, 0.5, 60, 53, 80]\n', encoding="utf-8")
    assert len(Recorder(tmp_path).takes()) == 1 and (tmp_path / ".take-999999998.journal").is_dir()


@pytest.mark.parametrize(
    "line", ['["tempo", 0.0, 1e-9]', '["heard", NaN, 1.0, 60, 0, 80]', '["heard", 0, 1, 300, 0, 80]']
)
def test_a_journal_that_is_no_take_is_put_aside(tmp_path, line):
    text = line + '\n["played", 1.0, 0.5, 60, 0, 80]\n'
    (tmp_path / ".take-999999999.journal").write_text(text, encoding="utf-8")
    assert not Recorder(tmp_path).takes()
    assert (tmp_path / ".take-999999999.bad").read_text(encoding="utf-8") == text


@pytest.mark.parametrize("line", ['["heard", 0, 1, 1e999, 0, 80]', "[" * 100_000, "\0\0\0"], ids="∞[0")
def test_a_line_that_says_nothing_costs_no_other(tmp_path, line):
    text = f'["heard", 0.0, 0.5, 60, 53, 80]\n{line}\n["heard", 1.0, 0.5, 62, 53, 80]\n'
    (tmp_path / ".take-999999999.journal").write_text(text, encoding="utf-8")
    (take,) = Recorder(tmp_path).takes()
    assert read(tmp_path / take["name"]).notes.pitch.tolist() == [60, 62]


def test_a_disk_that_is_full_while_playing_is_told_and_the_take_is_whole(rehearsal, fill_disk):
    fill_disk()
    made = rehearsal()
    made.run(0.5, key(0.1, 60))
    until(lambda: made.run(0.01) or made.told)
    assert made.told[-1] == "the take is in memory only until it is saved: No space left on device"
    made.app.act("stop")
    assert [n.pitch.tolist() for n in made.taken()] == [[60]]


def test_what_was_held_as_the_program_was_killed_is_rescued(rehearsal, tmp_path):
    """As long as is known; and a note that has ended is there once."""
    made = rehearsal(listen=0)
    made.run(3.0, [(0.5, [0x90, 48, 80]), *key(1.0, 60), (1.5, [0x90, 60, 70]), *key(2.0, 62), (2.9, [0x90, 64, 60])])
    journal = written(made, " 64,")
    (tmp_path / "new").mkdir()
    (tmp_path / "new" / ".take-999999999.journal").write_bytes(journal.read_bytes())
    (name,) = [take["name"] for take in Recorder(tmp_path / "new").takes()]
    notes = read(tmp_path / "new" / name).notes
    assert sorted(notes.pitch.tolist()) == [48, 60, 60, 62, 64]
    assert notes.duration[notes.pitch == 48] == pytest.approx([1.7], abs=0.05)
    made.app.act("stop")
    assert sorted(made.taken()[0].pitch.tolist()) == [48, 60, 60, 62, 64]


@pytest.mark.skipif(os.name == "nt", reason="Windows refuses to rename a journal that is open")
def test_a_journal_is_rescued_unless_its_program_still_runs(rehearsal):
    """Whatever else has that program's number since: after the power has failed numbers begin anew."""
    made = rehearsal(listen=0)
    made.run(1.0, key(0.1, 60))
    folder = made.app.recorder.folder
    (folder / f".take-{os.getppid()}-1.journal").write_text('["heard", 1, 0.5, 72, 53, 80]\n', encoding="utf-8")
    (rescued,) = Recorder(folder).takes()
    assert read(folder / rescued["name"]).notes.pitch.tolist() == [72]
    made.app.act("stop")
    made.app.recorder.settled(5.0)
    assert made.taken()[0].pitch.tolist() == [60] and not list(folder.glob(".take*"))


def test_a_journal_of_a_version_before_is_a_take(tmp_path):
    lines = ['["meter", 3]', '["tempo", 0.0, 100.0]', '["heard", 1.0, 0.5, 60, 53, 80]', '["heard", 2.0, 0.5']
    (tmp_path / ".take-999999999.journal").write_text("\n".join(lines), encoding="utf-8")
    (take,) = Recorder(tmp_path).takes()
    score = read(tmp_path / take["name"])
    assert score.notes.pitch.tolist() == [60] and score.tempo.meters == ((0, 3, 4),) and take["notes"] == 1
