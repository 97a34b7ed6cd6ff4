"""The App in virtual time: whatever happens on a stage, what sounded is in the take, and the music goes on."""

import argparse
import os
import queue
import signal
import threading
import time
from pathlib import Path
from types import SimpleNamespace

import mido
import numpy as np
import pytest
from test_scheduler import check_clean
from test_session import regular_mind
from virtual import Hands, Mind, Rehearsal

from anticipation.errors import LiveError, RequestError
from anticipation.live.planner import Step
from anticipation.music.notes import Notes
from anticipation.music.symbols import chord_name
from anticipation.score.midi import read
from plugin_bridge import commands, transport, work
from plugin_bridge.clock import Grid
from plugin_bridge.controls import defaults
from plugin_bridge.known import Setup
from plugin_bridge.meters import Meters
from plugin_bridge.recorder import Recorder
from plugin_bridge.relief import Relief
from plugin_bridge.reports import REPORTS
from plugin_bridge.take import LiveNote


@pytest.fixture
def rehearsal(monkeypatch, tmp_path):
    """rehearsal(plan=..., **settings) -> a Rehearsal that plays."""
    made = []

    def make(**settings) -> Rehearsal:
        made.append(Rehearsal(monkeypatch, tmp_path / "takes", **settings))
        if settings.get("sync") != "clock":
            made[-1].app.act("start")
        made[-1].run(0.1)
        return made[-1]

    yield make
    for rehearsal in made:
        rehearsal.app.close()


def key(at, pitch, length=0.2):
    return [(at, [0x90, pitch, 80]), (at + length, [0x80, pitch, 0])]


def taken(rehearsal, kind="take") -> list[Notes]:
    return [
        read(path).notes for path in sorted(rehearsal.app.recorder.folder.glob(f"{kind}-*.mid"), key=lambda p: p.stem)
    ]


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
        assert not taken(made) and not made.app.recorder.takes()
    made.app.act("stop")
    assert made.told[-1].count("take-") == 2 and [n.pitch.tolist() for n in taken(made)] == [[60], [62]]
    made.app.act("stop")
    made.app.recorder.settled(5.0)
    assert len(taken(made)) == 2 and not list(made.app.recorder.folder.glob(".take-*"))


def test_a_take_that_could_not_be_written_to_the_end_is_made_at_the_next_start(rehearsal, monkeypatch):
    made = rehearsal()
    made.run(1.0, key(0.1, 60))
    with monkeypatch.context() as broken:
        broken.setattr(os, "replace", full_disk)
        made.app.close()
    assert made.told[-1].startswith("the take could not be saved") and not taken(made)
    Recorder(made.app.recorder.folder)
    assert [n.pitch.tolist() for n in taken(made, "rescued")] == [[60]]
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
    assert [n.pitch.tolist() for n in taken(made)] == [[60], [62]] and path.exists()
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
        assert taken(made)[0].pitch.tolist() == [pitch]
        folder.rename(folder.parent / f"after {pitch}")
    assert "memory" not in "".join(made.told)


def test_a_take_of_five_hours_becomes_two_files_and_no_start_fails_for_an_old_one(rehearsal, monkeypatch):
    made = rehearsal()
    made.run(1.0, key(0.1, 60))
    made.now += 5 * 3600
    made.run(1.0, key(0.1, 62))
    made.app.act("stop")
    assert made.told[-1].count("take-") == 2 and [n.pitch.tolist() for n in taken(made)] == [[60], [62]]
    made.app.act("start")
    made.run(1.0, key(0.1, 64))
    with monkeypatch.context() as broken:
        broken.setattr(os, "replace", full_disk)
        made.app.recorder.begin(made.now, 120.0)
    made.run(1.0, key(0.1, 65))
    made.app.act("stop")
    assert taken(made)[-1].pitch.tolist() == [65]


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
    assert [n.pitch.tolist() for n in taken(made)] == [[60]]


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
    assert sorted(taken(made)[0].pitch.tolist()) == [48, 60, 60, 62, 64]


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
    assert taken(made)[0].pitch.tolist() == [60] and not list(folder.glob(".take*"))


def test_a_journal_of_a_version_before_is_a_take(tmp_path):
    lines = ['["meter", 3]', '["tempo", 0.0, 100.0]', '["heard", 1.0, 0.5, 60, 53, 80]', '["heard", 2.0, 0.5']
    (tmp_path / ".take-999999999.journal").write_text("\n".join(lines), encoding="utf-8")
    (take,) = Recorder(tmp_path).takes()
    score = read(tmp_path / take["name"])
    assert score.notes.pitch.tolist() == [60] and score.tempo.meters == ((0, 3, 4),) and take["notes"] == 1


def test_every_note_of_the_player_is_in_the_take_however_it_ended(rehearsal):
    """By its release, however late, by the same key again, by a port that went, by forgetting, by the stop."""
    made = rehearsal(listen=0, plan=regular_mind())
    again = [(0.5, [0x90, 61, 80]), (1.0, [0x90, 61, 80]), (1.5, [0x80, 61, 0])]
    made.run(16.0, key(0.1, 60) + again + key(0.2, 48, 15.0))
    made.run(1.0, [(0.1, [0x90, 72, 80])])
    made.app.hands.report(("hands", "lost"))
    made.run(1.0, [(0.1, [0x90, 74, 80])])
    made.app.act("forget")
    made.run(1.0, [(0.1, [0x90, 76, 80])])
    made.app.act("stop")
    notes = taken(made)[0]
    heard = {n[2]: n[1] for n in notes if n[3] == 53}
    assert sorted(n[2] for n in notes if n[3] == 53) == [48, 60, 61, 61, 72, 74, 76]
    assert heard[48] == pytest.approx(15.0, abs=0.02) and heard[72] == heard[76] == pytest.approx(0.9, abs=0.02)


def test_notes_that_all_come_at_once_are_all_in_the_take(rehearsal):
    """What waited in the MIDI system while the machine stood still: a key that was struck ten times, among others."""
    made = rehearsal(listen=0)
    again = [(1.0, [0x90 - 0x10 * off, 60, 80]) for _ in range(10) for off in (0, 1)]
    made.run(2.0, [*again, (1.0, [0x90, 64, 80]), (1.5, [0x80, 64, 0]), (1.6, [0x90, 60, 80]), (1.9, [0x80, 60, 0])])
    made.app.act("stop")
    (notes,) = taken(made)
    assert sorted(notes.pitch.tolist()) == [60] * 11 + [64]
    assert notes.onset[notes.pitch == 60][-1] == pytest.approx(1.6 + notes.onset[0] - 1.0, abs=0.02)


def test_a_clock_that_starts_again_while_playing_ends_the_take_with_what_is_held(rehearsal):
    made = rehearsal(sync="clock")
    ticks = [(0.1 + n / 48, [0xF8]) for n in range(96)]
    made.run(2.1, [(0.05, [0xFA]), *ticks, (1.0, [0x90, 60, 80])])
    made.run(2.1, [(0.01, [0xFA]), *((0.02 + n / 48, [0xF8]) for n in range(96)), *key(1.0, 62)])
    made.app.act("stop")
    first, second = taken(made)
    assert first.pitch.tolist() == [60] and first.duration[0] == pytest.approx(1.1, abs=0.05)
    assert second.pitch.tolist() == [62] and any(line.startswith("saved") for line in made.told[:-1])


def test_a_note_between_start_and_the_first_tick_is_on_the_first_beat(rehearsal):
    """It comes before it from a DAW's other port or an eager hand; what was struck long before, or is over, is not."""
    made = rehearsal(sync="clock")
    ticks = [(0.1 + n / 48, [0xF8]) for n in range(96)]
    early = [(0.01, [0x90, 50, 80]), (0.02, [0x90, 51, 80]), (0.04, [0x80, 51, 0])]
    made.run(0.3, [(0.0, [0x90, 40, 80])])
    made.run(2.1, [*early, (0.05, [0xFA]), (0.09, [0x90, 60, 80]), *ticks, (0.35, [0x80, 60, 0]), (0.6, [0x80, 50, 0])])
    made.app.act("stop")
    (notes,) = taken(made)
    assert notes.pitch.tolist() == [50, 60]
    np.testing.assert_allclose(notes.onset, 0.0, atol=0.01)
    np.testing.assert_allclose(notes.duration, [0.5, 0.25], atol=0.02)


def daw_loop(how, bars=4, rounds=3):
    """(seconds, message) of a DAW at 120 bpm that goes round; `how`: what it says at the seam, as Ardour a stop in one
    audio cycle and the rest in the next."""
    say = {"position": [0xF2, 0, 0], "continue": [0xFB], "stop": [0xFC], "start": [0xFA]}
    at, messages = 0.02, [(0.01, [0xF2, 0, 0]), (0.01, [0xFA])]
    for n in range(rounds * bars * 96):
        seam = how if n and n % (bars * 96) == 0 else ()
        messages += [(at - (0.007 if what == "stop" else 0.002) + k * 0.0005, say[what]) for k, what in enumerate(seam)]
        messages += [(at, [0xF8])]
        at += 1 / 48
    return messages, at


@pytest.mark.parametrize("how", ["position", "position continue", "stop position continue", "stop start"])
@pytest.mark.parametrize("mode", ["band", "loop", "timeline"])
def test_a_daw_that_goes_round_is_no_break_for_the_band(rehearsal, how, mode):
    """Nor for the take, the beats that the mind is told, or the key and the pedal that the player holds."""
    mind = regular_mind(pitch=40)
    made = rehearsal(sync="clock", listen=0, mode=mode, plan=mind, thru=True)
    messages, end = daw_loop(how.split())
    made.run(end, [*messages, (3.0, [0x90, 72, 80]), (3.0, [0xB0, 64, 127])])
    onsets = np.array([t for t, m in made.sent if m[0] & 0xF0 == 0x90 and m[1] == 40])
    beats = [scene.chart.beats for scene in mind.scenes]
    assert np.diff(onsets).max() == pytest.approx(0.25, abs=0.02) and np.diff(onsets).min() > 0.2
    assert sum(m[0] in (0x80, 0xB0) and m[1] in (64, 72) for _, m in made.sent) == 1  # the pedal going down
    for told in beats:
        assert np.diff(told.onset) == pytest.approx(0.5, abs=0.01)
        assert set(np.diff(told.pitch) % 4) <= {1}
    made.app.act("stop")
    assert len(taken(made)) == 1


def test_a_timeline_goes_round_with_the_daw(rehearsal):
    """A band that doubles what lies ahead plays what comes, also where the second round begins anew; and what it is
    told of the past is what it was."""
    scenes = []

    def doubles(scene):
        scenes.append(scene)
        for on, length, pitch, *_ in scene.ahead.between(scene.start, scene.end):
            yield Step(on, (on, length, pitch - 20, 0, 80), 0)

    made = rehearsal(sync="clock", listen=0, mode="timeline", plan=doubles)
    made.app.timeline([[0.5 * n, 0.4, 60 + n, 53, 80] for n in range(48)], 0.0)
    messages, end = daw_loop(["position"], rounds=4)
    begin = made.now + 0.02
    made.run(end, messages)
    sent = np.array([(t - begin, m[1]) for t, m in made.sent if m[0] & 0xF0 == 0x90])
    beats = np.rint(sent[:, 0] / 0.5).astype(int)
    right = sent[:, 1] == 40 + beats % 16
    assert beats[right].tolist() == [n for n in range(4, 65) if n != 16], "who has not gone round yet cannot know"
    past = scenes[-1].ahead.between(-np.inf, scenes[-1].start - 0.5)
    assert len(past) > 60 and past.pitch.tolist() == [60 + n % 16 for n in range(len(past))]
    assert np.diff(past.onset) == pytest.approx(0.5, abs=0.02)


@pytest.mark.parametrize("more", [[], [(0.005, [0xF2, 0, 0])]])
def test_a_stop_by_midi_clock_is_one_after_some_hundredths_of_a_second(rehearsal, more):
    """It might have been a jump; but no note begins any more. A DAW may say next from where it will go on."""
    made = rehearsal(sync="clock", plan=regular_mind(every=0.125, pitch=40))
    made.run(3.986, [*(m for m in daw_loop([])[0] if m[0] < 3.985), (3.985, [0xFC])])
    assert made.app.clock.playing and made.app._patience() < transport.SEAM / 2
    begun = sum(m[0] & 0xF0 == 0x90 for _, m in made.sent)
    made.run(0.05, more)
    assert not made.app.clock.playing and len(taken(made)) == 1
    assert sum(m[0] & 0xF0 == 0x90 for _, m in made.sent) == begun
    check_clean([(t, m) for t, m in made.sent if m[0] < 0xA0])
    song = made.app.clock.song(made.now + 9.0)
    assert made.app.clock.grid.quarters_at(song) == pytest.approx(0 if more else 7.96, abs=0.05)


def test_a_jump_off_the_beat_silences_the_band_and_not_the_player(rehearsal):
    made = rehearsal(listen=0, plan=regular_mind(every=1.0, pitch=40), thru=True)
    made.run(4.5, [(0.1, [0x90, 72, 80])])
    made.app.act("locate", seconds=9.9)
    held = [m for _, m in made.sent if m[0] & 0xF0 == 0x90]
    assert {40, 72} == {m[1] for m in held} and [0x80, 72, 64] not in [m for _, m in made.sent]
    made.run(1.5, [(1.0, [0x80, 72, 0])])
    made.app.act("stop")
    check_clean([(t, m) for t, m in made.sent if m[0] < 0xA0])


def test_keep_has_what_sounds_and_what_sounded_last(rehearsal):
    made = rehearsal()
    with pytest.raises(RequestError):
        made.app.act("keep")
    made.run(1.0, [*key(0.1, 60), (0.5, [0x90, 72, 80])])
    for bars in (-1, 10**300):
        with pytest.raises(RequestError, match="1 to 10,000 bars"):
            made.app.act("keep", bars=bars)
    made.app.act("keep")
    assert taken(made, "kept")[0].pitch.tolist() == [60, 72]
    assert taken(made, "kept")[0].duration[1] == pytest.approx(0.5, abs=0.02)
    made.app.act("stop")
    made.now += 600.0
    made.app.act("keep")
    assert taken(made, "kept")[1] == taken(made, "kept")[0]


@pytest.mark.parametrize(("late", "length"), [(0.3, 4.3), (-0.3, 3.7)])
def test_what_is_kept_begins_on_a_bar_line(rehearsal, late, length):
    """Whether the button is pressed a little after one or before; whatever the tempo has been."""
    made = rehearsal(meter="3/4")
    made.run(3.0 - 0.1)
    made.app.set("bpm", 90)  # two bars are over
    made.run(8.0 + late, [e for n in range(13) for e in key(n / 1.5, 60 + n, 0.1)])  # a note a beat
    made.app.act("keep", bars=2)
    (kept,) = taken(made, "kept")
    assert kept.onset[0] == pytest.approx(0.0, abs=0.02) and kept.pitch[0] == 66
    assert kept.end <= length


def test_what_is_held_into_what_is_kept_is_in_it(rehearsal):
    """From its beginning on, as in a DAW's clip; but not the end of a note that was released late."""
    made = rehearsal(listen=0)
    made.run(7.9, [*key(1.9, 48, 4.0), *key(3.0, 50, 1.1), (2.0, [0x90, 55, 80]), *key(5.0, 60)])
    made.app.act("keep", bars=2)
    (kept,) = taken(made, "kept")
    assert kept.pitch.tolist() == [48, 55, 60] and kept.onset[:2].tolist() == [0.0, 0.0]
    assert kept.duration[:2] == pytest.approx([2.0, 4.0], abs=0.11)


def moves_of(path) -> list[tuple[float, list[int]]]:
    """Seconds and bytes of all but notes and programs, of each track that has notes."""
    at, out = 0.0, []
    for message in mido.MidiFile(path):
        at += message.time
        if not message.is_meta and message.type not in ("note_on", "note_off", "program_change"):
            out.append((round(at, 2), message.bytes()))
    return out


def test_pedals_wheels_and_bends_are_in_the_take(rehearsal, tmp_path):
    """What steers us and what is meant for the port are not; a part of a take begins with the pedal as it stood. Each
    ends with all at rest."""
    made = rehearsal(listen=0)
    moves = [(0.2, [0xB0, 64, 127]), (0.4, [0xE0, 0, 100]), (0.6, [0xD0, 9]), (0.8, [0xB0, 64, 0])]
    other = [(0.3, [0xC0, 5]), (0.3, [0xB0, 0, 1]), (0.3, [0xB0, 123, 0]), (0.3, [0xB0, 28, 90])]
    made.run(1.0, [*key(0.1, 60), *moves, *other])
    made.run(1.0, [(0.1, [0xB0, 64, 100])])
    made.run(9.0, key(8.0, 62))
    made.app.recorder.keep(made.app.clock.wall(11.0), 2)
    made.app.act("stop")
    folder = made.app.recorder.folder
    kept, take = sorted(take["name"] for take in made.app.recorder.takes())
    whole, rests = moves_of(folder / take), [[0xB0, 64, 0], [0xD0, 0], [0xE0, 0, 64]]
    assert [data for _, data in whole[:-3]] == [m for _, m in moves] + [[0xB0, 64, 100]]
    assert np.diff([at for at, _ in whole[:-3]]).round(1).tolist() == [0.2, 0.2, 0.2, 0.3]
    assert [(round(at, 1), m) for at, m in sorted(whole[-3:])] == [(11.1, m) for m in rests]
    standing = [[0xB0, 64, 100], [0xD0, 9], [0xE0, 0, 100]]
    assert sorted(moves_of(folder / kept)) == [(0.0, m) for m in standing] + [(5.0, m) for m in rests]
    (tmp_path / "old").mkdir()
    lines = [
        '["heard", 1, 0.5, 60, 53, 80]',
        '["move", 0.5, 176, 64, 127]',
        '["move", 1, 176, 300]',
        '["move", 1, 248]',
    ]
    (tmp_path / "old" / ".take-999999999.journal").write_text("\n".join(lines), encoding="utf-8")
    (rescued,) = Recorder(tmp_path / "old").takes()
    assert moves_of(tmp_path / "old" / rescued["name"]) == [(0.5, [0xB0, 64, 127]), (1.5, [0xB0, 64, 0])]


def test_a_note_that_thru_began_ends_though_thru_went_off(rehearsal):
    made = rehearsal(thru=True)
    made.run(0.5, [(0.1, [0x90, 60, 80])])
    made.app.set("thru", False)
    made.run(0.5, [(0.1, [0x80, 60, 0]), (0.2, [0x90, 62, 80]), (0.3, [0x80, 62, 0])])
    check_clean(made.sent)
    assert [m for _, m in made.sent] == [[0x90, 60, 80], [0x80, 60, 64]]


def test_the_band_leaves_a_player_who_is_passed_on_his_channel(rehearsal):
    """Else his pedal sustains the band. Where thru is off it is where it was told to be."""
    made = rehearsal(thru=True, plan=regular_mind(), listen=0, instruments="piano,bass")
    made.run(2.9)
    assert {m[0] & 15 for _, m in made.sent} == {0}
    made.run(2.0, [(0.1, [0xB0, 64, 127]), *key(1.0, 60)])
    theirs, band = ([m for t, m in made.sent if t > 1003.5 and m[0] & 15 == channel] for channel in (0, 1))
    assert theirs == [[0x90, 60, 80], [0x80, 60, 64]] and len(band) > 10 and {m[1] for m in band} == {40}
    made.app.act("stop")
    check_clean([(t, m) for t, m in made.sent if m[0] < 0xA0])
    assert made.told[-2] == "you play on channel 1, so the band's channels are: piano 2, finger bass 3"
    made.app.set("thru", False)
    assert [member["channel"] for member in made.app.state()["band"]] == [1, 2]
    many = Setup(defaults() | {"thru": True, "instruments": ",".join(map(str, range(15)))}, {3})
    assert len(set(many.channels.values())) == 16 and many.channels[14] == 3  # there is no other left


GESTURES = [[0x90, 60, 80], [0xB0, 64, 127], [0xB0, 1, 40], [0xE0, 0, 100], [0xD0, 9]]
LET_GO = [[0x80, 60, 64], [0xB0, 1, 0], [0xB0, 64, 0], [0xD0, 0], [0xE0, 0, 64]]


@pytest.mark.parametrize("how", ["unplugged", "thru off", "panic"])
def test_what_the_player_held_and_moved_comes_to_rest(rehearsal, how):
    """His keyboard is unplugged, or thru goes off, with a key, the pedal, the wheels where they should not stay."""
    made = rehearsal(thru=True)
    made.run(0.5, [(0.1, message) for message in GESTURES])
    if how == "unplugged":
        made.app.hands.report(("port", "in", "Keys", "lost"))
    else:
        made.app.act("panic") if how == "panic" else made.app.set("thru", False)
    made.run(0.1)
    told = [m for _, m in made.sent]
    if how == "panic":
        told = told[: told.index([0xB0, 123, 0]) - 1]  # what it then tells all channels is another test's
    assert sorted(told) == sorted(GESTURES + LET_GO)
    check_clean([(t, m) for t, m in made.sent if m[0] < 0xA0])


def test_new_hands_end_what_those_that_died_left_sounding(rehearsal):
    made = rehearsal()
    made.app.hands.report(("hands", "back"))
    made.run(0.1)
    for controller in (64, 123):  # they took with them which pedals were down
        assert sum(m[0] & 0xF0 == 0xB0 and m[1] == controller for _, m in made.sent) == 16


def no_link(bpm):
    raise LiveError("Ableton Link needs LinkPython-extern")


@pytest.mark.parametrize("what", [(transport, "open_link"), (Mind, "start")], ids=["link", "mind"])
def test_an_app_that_cannot_begin_leaves_no_process(monkeypatch, tmp_path, what):
    closed = []
    monkeypatch.setattr(Hands, "close", lambda hands: closed.append(hands))
    monkeypatch.setattr(*what, no_link)
    with pytest.raises(LiveError):
        Rehearsal(monkeypatch, tmp_path, sync="link" if what[0] is transport else "internal")
    assert len(closed) == 1


def test_one_event_that_fails_takes_no_other_with_it(rehearsal, monkeypatch):
    """A controller that cannot do what it was taught, and a fault of ours, between two notes."""
    monkeypatch.setattr(transport, "open_link", no_link)
    made = rehearsal()
    made.app.act("learn", name="sync")
    made.run(0.5, [(0.1, [0x90, 60, 80])])
    made.run(0.5, [(0.1, [0xB0, 40, 127]), (0.1, [0x80, 60, 0]), (0.1, [0x90, 62, 80])])
    assert made.told[-1] == "Ableton Link needs LinkPython-extern" and made.app.session.settings["sync"] == "internal"
    made.app.mind.report(("step", "no", "such", "step", "as this", "one"))
    made.run(0.5, [(0.0, [0x80, 62, 0]), (0.0, [0x90, 64, 80])])
    assert made.told[-1].startswith("a fault of ours") and list(made.app.session.known.open) == [(0, 64)]


@pytest.mark.parametrize("error", [BrokenPipeError("stdout"), UnicodeEncodeError("ascii", "é", 0, 1, "no")])
def test_nobody_to_tell_is_no_reason_not_to_play(rehearsal, error):
    def broken(line):
        raise error

    made = rehearsal()
    made.say = broken
    made.app.mind.report(("error", "something to tell"))
    made.run(0.5, key(0.1, 60))
    assert made.app.message == "the mind: something to tell" and len(made.app.session.known.heard) == 1


def test_a_terminal_that_stands_still_holds_up_nobody(rehearsal, monkeypatch):
    """Ctrl-S, or text that is marked in a Windows console: whoever writes there waits."""
    goes_on, said = threading.Event(), []
    stands = SimpleNamespace(write=lambda text: goes_on.wait(60) and said.append(text), flush=lambda: None)
    monkeypatch.setattr("sys.stdout", stands)
    with commands.printing(quiet=False) as say:
        made = rehearsal()
        made.say = say
        made.run(1.0, key(0.1, 60))
        made.app.act("stop")
        made.app.act("start")
        assert not goes_on.is_set() and not said  # else we had waited for it
        goes_on.set()
    assert said[0].startswith("saved take-")


@pytest.fixture
def performed(monkeypatch):
    """performed(close) -> (said, linked): the lines of an `anticipate live` that is ended at once, and whether DAW
    scripts could find its server, which `close` closes."""

    def perform(close, app_closes=lambda: None):
        said, linked, asked = [], [], queue.SimpleQueue()
        made = SimpleNamespace(close=app_closes, mind=SimpleNamespace(broken="", state="ready"), tell=said.append,
                               hands=SimpleNamespace(names={"chosen": {}, "api": "none"}))  # fmt: skip
        server = SimpleNamespace(close=close)
        monkeypatch.setattr("plugin_bridge.app.App", lambda **_: made)
        monkeypatch.setattr(commands, "open_page", lambda *_, link: linked.append(link) or server)
        args = argparse.ArgumentParser()
        commands.live_flags(args)
        asked.put("end")
        given = vars(args.parse_args([])) | {"threads": 1, "model": None, "weights": "float32", "device": "auto"}
        commands.play(SimpleNamespace(**given), asked, said.append)
        return said, linked

    return perform


def test_at_the_end_the_music_stops_first(performed):
    """However long the page's server takes, or if it fails."""
    ended = []

    def server_close():
        ended.append("server")
        raise TimeoutError

    with pytest.raises(TimeoutError):
        performed(server_close, lambda: ended.append("app"))
    assert ended == ["app", "server"]


def test_a_folder_for_settings_that_cannot_be_written_is_one_line(performed, monkeypatch, tmp_path):
    assert performed(lambda: None)[1] == [True]
    (tmp_path / "taken").write_text("a file, not a folder")
    monkeypatch.setenv("ANTICIPATION_CONFIG", str(tmp_path / "taken" / "here"))
    said, linked = performed(lambda: None)
    (line,) = [line for line in said if "settings" in line]
    assert line.startswith("settings will not be kept") and "Not a directory" in line and linked == [False]


def struck(made, channel=0) -> list[int]:
    return [m[1] for _, m in made.sent if m[0] == 0x90 | channel]


def test_the_take_has_no_notes_that_never_sounded(rehearsal):
    """A second of them is committed when it stops; and one sounds on that is cut."""

    def scale(scene):
        for k in range(int(scene.start * 10) + 1, int(scene.end * 10)):
            yield Step(k / 10, (k / 10, 0.5, k % 128, 0, 80), 0)

    for latency in (0.0, 150.0, -150.0):
        made = rehearsal(plan=scale, commit=1000.0, latency=latency)
        made.run(3.93)
        made.app.act("stop")
        notes = taken(made)[-1]
        assert len(struck(made)) > 10 and sorted(notes.pitch) == sorted(struck(made))
        assert notes.duration.min() < 0.15 and notes.end == pytest.approx(4.03 + latency / 1000, abs=0.02)
        for path in made.app.recorder.folder.glob("*.mid"):
            path.unlink()


def test_who_is_switched_off_leaves_the_others_playing(rehearsal):
    def duo(scene):
        for k in range(int(scene.start * 10) + 1, int(scene.end * 10)):
            for instrument in scene.instruments:
                yield Step(k / 10, (k / 10, 0.05, k % 128, instrument, 80), 0)

    made = rehearsal(plan=duo, instruments="piano,finger bass", commit=1000.0)
    made.run(2.93)
    made.app.act("switch", instrument="finger bass", on=False)
    made.run(1.0)
    piano, bass = struck(made), struck(made, 1)
    assert bass == piano[: len(bass)] and 5 <= len(piano) - len(bass) and piano == list(range(21, 21 + len(piano)))
    made.app.set("mute", True)
    made.run(1.0)
    assert struck(made) == piano
    made.app.act("stop")
    notes = taken(made)[0]
    assert [notes.pitch[notes.instrument == i].tolist() for i in (0, 33)] == [piano, bass]


def test_a_timeline_that_was_sent_before_the_start_is_there(rehearsal):
    made = rehearsal(mode="timeline")
    made.app.act("stop")
    made.app.timeline([[0.5 * n, 0.4, 60, 0, 80] for n in range(20)], 0.0)
    made.app.act("start")
    made.app.act("forget")
    assert len(made.app.session.known.timeline) == 20


def test_a_metre_that_changes_is_in_the_take_from_its_first_bar_on(rehearsal):
    made = rehearsal()
    made.run(2.6, key(0.1, 60))  # at beat 5.4
    made.app.set("meter", "7/4")
    made.app.set("meter", "3/4")
    made.run(2.0)
    made.app.act("stop")
    tempo = read(next(made.app.recorder.folder.glob("take-*.mid"))).tempo
    assert tempo.meters == ((0, 4, 4), (6 * 480, 3, 4))


@pytest.mark.parametrize(
    ("meter", "bar", "place"), [("6/8", 1.5, (2, 1.667)), ("7/8", 1.75, (2, 2.0)), ("2/2", 2.0, (2, 1.0))]
)
def test_a_song_has_the_metre_that_it_was_told(rehearsal, meter, bar, place):
    """Quarters a minute whatever the metre: its bars are as long as a DAW's, the band enters on one of them, and so do
    the take and whoever asks where the song is."""
    made = rehearsal(plan=regular_mind(), meter=meter, listen=1, bravery=1.0)
    made.run(1.9, key(0.1, 60))
    assert min(on for on, data in made.sent if data[0] & 0xF0 == 0x90) == pytest.approx(1000 + bar, abs=0.002)
    made.run(2.0 - (made.now - 1000.0))
    state = made.app.state()
    assert state["meter"] == [int(n) for n in meter.split("/")] and state["bpm"] == pytest.approx(120)
    assert (state["position"]["bar"], state["position"]["beat"]) == pytest.approx(place, abs=0.03)
    _, start = work.timeline_from_json({"unit": "quarters", "notes": [], "replace_from": 4}, state)
    assert start == pytest.approx(2.0, abs=0.02)
    made.app.act("stop")
    assert read(next(made.app.recorder.folder.glob("take-*.mid"))).tempo.meters == ((0, *state["meter"]),)


def test_late_notes_are_counted_once_a_second(monkeypatch):
    """It is asked for 20 times a second, of 50,000 notes."""
    now, meters = SimpleNamespace(perf_counter=lambda: 5.0), Meters()
    monkeypatch.setattr("plugin_bridge.meters.time", now)
    assert meters.figures([0.02, 0.009, -0.02], 0)["late"] == 1
    assert meters.figures([0.02, 0.03], 0)["late"] == 1
    now.perf_counter = lambda: 6.1
    assert meters.figures([0.02, 0.03], 0)["late"] == 2


def test_a_chart_goes_round_by_its_bars_and_what_a_symbol_is_taken_for_is_told(rehearsal):
    """Repeats written out: five bars, though there are four strokes between its ends."""
    made = rehearsal()
    made.app.set("chords", "|: C6 | F :| x2 | G |")
    assert made.told[-1] == "C6 is taken for C"
    session = made.app.session
    chart = session.setup.chart(0.0, 40.0, Grid(), session.known)
    names = [chord_name(symbol) for _, _, symbol, _, _ in chart]
    assert names[:8] == ["C", "F", "C", "F", "G", "C", "F", "C"]
    before = made.app.session.settings["chords"]
    with pytest.raises(RequestError, match="x2"):
        made.app.set("chords", "| C x2 |")
    assert made.app.session.settings["chords"] == before


def test_unknown_things_are_refused_with_the_nearest(rehearsal):
    app = rehearsal().app
    for call, words in (
        (lambda: app.set("temprature", 1), "temperature"), (lambda: app.set("bpm", 1000), "300"),
        (lambda: app.act("pause"), "there are"), (lambda: app.act("keep", bars=1), "nothing has sounded"),
        (lambda: app.act("switch", instrument="flute", on=True), "not in the band"), (lambda: app.take("../x"), "no t"),
        (lambda: app.timeline([[1, 2]], 0), "timeline"), (lambda: app.timeline([[0, 1, 200, 0, 1]], 0), "out of range"),
        (lambda: app.act("start", now=1), "takes no"), (lambda: app.act("learn", name="?"), "no control"),
    ):  # fmt: skip
        with pytest.raises(RequestError, match=words):
            call()


def test_a_mind_that_hangs_is_noticed_and_asked_again_when_it_answers(rehearsal):
    """Two seconds after it owes an answer: the band ends what it plays."""
    made = rehearsal(plan=regular_mind(), horizon=4.0)
    mind = made.app.mind
    made.run(2.0)
    mind.hangs = True
    made.run(1.8, key(0.1, 60))
    assert mind.state == "ready" and made.app.session.plan
    made.run(0.5)
    assert made.app.state()["mind"] == "hung" and not made.app.hands.scheduler.sounding
    assert made.told == ["the mind does not answer: the band is silent until it does"] and not made.app.session.plan
    silent = len(made.sent)
    made.run(6.0, key(4.0, 62))
    assert len(made.sent) == silent and len(mind.asked) < 5
    mind.hangs = False
    mind.answer()
    made.run(2.0)
    assert made.told[-1] == "the mind answers again" and mind.state == "ready" and len(made.sent) > silent
    made.app.act("stop")
    check_clean(made.sent)
    assert taken(made)[0].pitch[taken(made)[0].instrument == 53].tolist() == [60, 62]


def test_a_machine_that_slept_has_asked_nobody(rehearsal):
    """For an hour, while a mind owed an answer; nor does one owe any that was not asked."""
    made = rehearsal(plan=regular_mind())
    made.app.mind.hangs = True
    made.run(1.0, key(0.1, 60))
    made.now += 3600.0
    made.run(0.5)
    made.app.mind.hangs = False
    made.app.mind.answer()
    made.run(1.0)
    made.app.act("stop")
    made.run(10.0)
    assert made.app.mind.state == "ready" and all(line.startswith("saved") for line in made.told)


def test_a_mind_that_hangs_for_good_is_ended_as_a_dead_one_is_replaced(rehearsal):
    made, ended = rehearsal(plan=regular_mind()), []
    made.app.mind._process = SimpleNamespace(kill=lambda: ended.append(made.now))
    made.app.mind.hangs = True
    made.run(25.0, key(0.1, 60))
    assert made.app.mind.state == "hung" and not ended
    made.run(10.0)
    assert ended
    made.app.mind.report(("died", "it hung"))
    made.run(0.1)
    assert made.told[-1] == "the mind died (it hung); starting another"


def test_a_program_that_its_terminal_stops_leaves_nothing_sounding_and_goes_on(rehearsal):
    """Ctrl-Z, a minute, and fg: a key and a pedal of the player's are passed on, and the band plays."""
    made = rehearsal(plan=regular_mind(), thru=True)
    made.run(4.0, [(3.0, [0x90, 72, 80]), (3.0, [0xB0, 64, 127])])
    before, place = len(made.sent), made.app.clock.song(made.now)
    assert made.app.hands.scheduler.sounding.keys() == {(0, 72), (1, 40)}

    def stand():
        assert not made.app.hands.scheduler.sounding and made.sent[-1][1] == [0xB0, 64, 0]
        made.now += 60.0

    made.app.halt(stand)
    silent = len(made.sent)
    made.run(0.3)
    assert made.app.clock.song(made.now) == pytest.approx(place + 0.3, abs=0.05) and silent - before == 3
    made.run(4.0)
    onsets = [at for at, message in made.sent[silent:] if message[0] == 0x91]
    assert len(onsets) > 8 and np.diff(onsets).min() > 0.2
    made.app.act("stop")
    check_clean([(at, m) for at, m in made.sent if m[0] < 0xA0])
    assert len(taken(made)) == 2 and 72 in taken(made)[0].pitch


@pytest.mark.parametrize("how", ["halted", "unplugged", "crashed"])
@pytest.mark.parametrize("says", [[0xFA], [0xF2, 16, 0], [0xFB]], ids=["start", "position", "continue"])
def test_a_clock_that_was_missed_is_waited_for_until_it_says_where_the_song_is(rehearsal, how, says):
    """The DAW went on meanwhile: its downbeats are no longer ours. One line tells, and the band is silent."""
    made = rehearsal(plan=regular_mind(), sync="clock")
    ticks = [(n / 48, [0xF8]) for n in range(200)]
    made.run(4.17, [(0.0, [0xFA]), *ticks])
    place = made.app.clock.song(made.now)
    assert made.app.hands.scheduler.sounding

    def stand():
        made.now += 60.3

    if how == "halted":
        made.app.halt(stand)
    else:
        made.app.hands.report(("port", "in", "Keys", "lost") if how == "unplugged" else ("hands", "lost"))
        made.run(0.1)
        stand()
    silent = len(made.sent)
    made.run(4.17, [*ticks, *key(1.0, 72)])
    assert len(made.sent) == silent and not made.app.clock.playing and not made.app.hands.scheduler.sounding
    (line,) = [line for line in made.told if "missed" in line]
    assert line == "MIDI clock was missed: the band waits for the next start, continue or song position"
    made.run(4.1, [(0.01, says), *((at + 0.02, tick) for at, tick in ticks[:195])])
    begins = {0xFA: 0.0, 0xF2: 2.0, 0xFB: place}[says[0]]
    assert made.app.clock.song(made.now) == pytest.approx(begins + 4.08, abs=0.02) and len(made.sent) > silent
    made.app.act("stop")
    check_clean(made.sent)


@pytest.mark.skipif(not hasattr(signal, "SIGTSTP"), reason="there is no Ctrl-Z")
def test_what_the_terminal_asks_for_is_done_in_order_and_what_it_ignores_stays_ignored(monkeypatch):
    before = signal.signal(signal.SIGHUP, signal.SIG_IGN)
    try:
        with commands.signals() as asked:
            for number in (signal.SIGHUP, signal.SIGTSTP, signal.SIGINT):
                signal.raise_signal(number)
            assert [commands.within(asked, 0.01) for _ in range(3)] == ["halt", "end", None]
        assert signal.getsignal(signal.SIGTSTP) == signal.SIG_DFL
    finally:
        signal.signal(signal.SIGHUP, before)


def test_doctor_measures_by_named_ports_where_there_are_no_virtual_ones(monkeypatch, anticipate):
    """As on Windows, where it could not open any."""
    meters, given = Meters().figures([], 0), {}
    made = SimpleNamespace(wait_ready=lambda seconds: True, act=lambda name: None, hear=lambda wall, data: None,
                           state=lambda: {"meters": meters}, close=lambda: None)  # fmt: skip
    monkeypatch.setattr("plugin_bridge.ports.choose", lambda api: ("winmm", 0))
    monkeypatch.setattr("plugin_bridge.doctor.App", lambda **options: given.update(options) or made)
    flags = ["--in", "To band", "--out", "From band", "--threads", 1, "--seconds", "0.01"]
    code, told, _ = anticipate("doctor", *flags)
    assert code == 0 and "winmm: no virtual ports to measure" in told and "anticipate live --threads 1" in told
    assert (given["in_port"], given["out_port"]) == ("To band", "From band")


def test_whom_a_slow_mind_leaves_out_is_told(rehearsal):
    made = rehearsal(plan=regular_mind(), instruments="piano,finger bass")
    made.app.session.relief = Relief(level=1, starved=9.0)
    made.run(0.2)
    assert made.told == ["the mind is too slow for all: piano"]
    made.run(25.0)
    assert made.told[1:] == ["the mind keeps up again: piano, finger bass"]


def test_a_mind_that_does_not_answer_at_all_is_not_called_slow(rehearsal):
    made = rehearsal(plan=regular_mind(), instruments="piano,finger bass")
    made.app.mind.state = "hung"
    made.app.session.relief = Relief(level=1, starved=9.0)
    made.run(0.2)
    assert not made.told and made.app.session.relief.level == 2


def tracks_of(rehearsal) -> dict[str, list]:
    """Of the only take, by name: each track's notes as (onset, length, pitch) and its moves, to a tenth of a second."""
    (file,) = rehearsal.app.recorder.folder.glob("take-*.mid")
    found = {}
    for number, track in enumerate(mido.MidiFile(file).tracks[1:]):
        at, notes, moves, held = 0.0, [], [], {}
        for message in track:
            at += message.time / 960
            if message.type == "note_on":
                held[message.note] = at
            elif message.type == "note_off":
                begun = held.pop(message.note)
                notes.append((round(begun, 1), round(at - begun, 1), message.note))
            elif not message.is_meta and message.type != "program_change":
                moves.append((round(at, 1), message.bytes()[1:]))
        found[f"{number} {track.name}"] = notes, moves
    return found


def test_each_keyboard_of_the_player_has_its_own_track_and_pedal(rehearsal):
    """Two that hold one key do not cut each other short, and the wheel of one bends neither the other nor the drums."""
    made = rehearsal()
    others = [(0.3, [0x91, 60, 70]), (0.6, [0x81, 60, 0]), (0.4, [0x99, 36, 90]), (0.5, [0x89, 36, 0])]
    moves = [(0.1, [0xB0, 64, 127]), (0.5, [0xE1, 0, 100]), (0.4, [0xB4, 7, 0])]
    made.run(0.9, [*key(0.2, 60, 0.5), *others, *moves])
    made.app.act("stop")
    assert tracks_of(made) == {
        "0 voice": ([(0.3, 0.5, 60)], [(0.2, [64, 127]), (1.0, [64, 0])]),
        "1 voice": ([(0.4, 0.3, 60)], [(0.6, [0, 100]), (1.0, [0, 64])]),
        "2 drums": ([(0.5, 0.1, 36)], []),
    }


def test_a_pedal_that_is_down_as_a_take_begins_is_down_in_it(rehearsal):
    """Held through a stop; but not one of a keyboard that was unplugged meanwhile."""
    made = rehearsal()
    made.app.act("stop")
    made.run(0.5, [(0.1, [0xB0, 64, 90]), (0.2, [0xE0, 5, 9]), (0.3, [0xE0, 0, 64])])
    for pedal in ([(0.0, [64, 90]), (0.5, [64, 0])], []):
        made.app.act("start")
        made.run(0.5, key(0.1, 60))
        made.app.act("stop")
        assert tracks_of(made) == {"0 voice": ([(0.1, 0.2, 60)], pedal)}
        next(made.app.recorder.folder.glob("take-*.mid")).unlink()
        REPORTS["port"](made.app, made.now, "in", "keys", "lost")


def test_a_part_of_a_take_begins_with_the_wheel_as_it_stood_last(rehearsal):
    made = rehearsal()
    made.run(9.0, [(0.1, [0xE0, 0, 64]), (0.2, [0xE0, 5, 99]), (0.3, [0xE0, 0, 64]), *key(8.0, 60)])
    made.app.act("keep", bars=1)
    (file,) = made.app.recorder.folder.glob("kept-*.mid")
    assert made.told[-1] == f"kept {file.name}"
    assert moves_of(file) == [(0.0, [0xE0, 0, 64])]


def finger(at, channel, pitch):
    """A note as an MPE controller plays it, on a channel of its own (0-15)."""
    shape = [[0xE0 | channel, 0, 64], [0xB0 | channel, 74, 64], [0xD0 | channel, 0]]
    return [*((at, m) for m in shape), (at, [0x90 | channel, pitch, 80]), (at + 0.2, [0x80 | channel, pitch, 0])]


@pytest.mark.parametrize("members", [7, 15, None], ids=["seven", "all", "says nothing"])
def test_an_mpe_player_is_one_player(rehearsal, members):
    """Told by its configuration message or by how it plays: channel 10 is no drums of his, one line says what was done,
    the band keeps away from his channels where it can, and bends of single notes do not bend a whole take."""
    made = rehearsal(thru=True, plan=regular_mind(), instruments="piano,bass")
    said = [[0xB0, 101, 0], [0xB0, 100, 6], [0xB0, 6, members]] if members else []
    count = members or 15
    notes = [e for n in range(40) for e in finger(0.1 + n * 0.25, 1 + n % count, 60 + n % 12)]
    made.run(12.0, [*((0.0, message) for message in said), *notes, (5.0, [0xE3, 9, 99]), (5.0, [0xB0, 64, 127])])
    lines = [line for line in made.told if "MPE" in line]
    channels = [member["channel"] for member in made.app.state()["band"]]
    assert len(lines) == 1 and lines[0].startswith(f"an MPE controller on channels 1-{count + 1}: one player; the")
    assert channels == ([9, 11] if members == 7 else [16, 15])
    assert sum("you play on" in line for line in made.told) <= (0 if members else 2)
    made.app.act("stop")
    (file,) = made.app.recorder.folder.glob("take-*.mid")
    score = read(file)
    assert len(score.notes) > 40 and (score.notes.instrument != 128).all()
    assert [part.name for part in score.parts].count("voice") == 1
    moved = [m for track in mido.MidiFile(file).tracks for m in track if m.type in ("pitchwheel", "control_change")]
    assert 64 in {m.control for m in moved if m.type == "control_change"}
    assert not any(m.pitch for m in moved if m.type == "pitchwheel")


def test_a_daw_that_tells_all_channels_plays_on_none(rehearsal):
    """All notes off, volumes and programs come on all sixteen; the band stays where it is."""
    made = rehearsal(thru=True, instruments="piano,bass")
    made.run(0.5, [(0.1, [0xB0 | channel, number, 0]) for number in (123, 7, 121) for channel in range(16)])
    assert [member["channel"] for member in made.app.state()["band"]] == [1, 2] and not made.told
