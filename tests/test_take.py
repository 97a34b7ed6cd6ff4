"""Takes, of the App in virtual time: all that sounded is in them, when it did, and nothing else."""

import mido
import numpy as np
import pytest
from test_session import regular_mind
from virtual import key

from anticipation.errors import RequestError
from anticipation.live.planner import Step
from plugin_bridge.recorder import Recorder
from plugin_bridge.reports import REPORTS


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
    notes = made.taken()[0]
    heard = {n[2]: n[1] for n in notes if n[3] == 53}
    assert sorted(n[2] for n in notes if n[3] == 53) == [48, 60, 61, 61, 72, 74, 76]
    assert heard[48] == pytest.approx(15.0, abs=0.02) and heard[72] == heard[76] == pytest.approx(0.9, abs=0.02)


def test_notes_that_all_come_at_once_are_all_in_the_take(rehearsal):
    """What waited in the MIDI system while the machine stood still: a key that was struck ten times, among others."""
    made = rehearsal(listen=0)
    again = [(1.0, [0x90 - 0x10 * off, 60, 80]) for _ in range(10) for off in (0, 1)]
    made.run(2.0, [*again, (1.0, [0x90, 64, 80]), (1.5, [0x80, 64, 0]), (1.6, [0x90, 60, 80]), (1.9, [0x80, 60, 0])])
    made.app.act("stop")
    (notes,) = made.taken()
    assert sorted(notes.pitch.tolist()) == [60] * 11 + [64]
    assert notes.onset[notes.pitch == 60][-1] == pytest.approx(1.6 + notes.onset[0] - 1.0, abs=0.02)


def test_keep_has_what_sounds_and_what_sounded_last(rehearsal):
    made = rehearsal()
    with pytest.raises(RequestError):
        made.app.act("keep")
    made.run(1.0, [*key(0.1, 60), (0.5, [0x90, 72, 80])])
    for bars in (-1, 10**300):
        with pytest.raises(RequestError, match="1 to 10,000 bars"):
            made.app.act("keep", bars=bars)
    made.app.act("keep")
    assert made.taken("kept")[0].pitch.tolist() == [60, 72]
    assert made.taken("kept")[0].duration[1] == pytest.approx(0.5, abs=0.02)
    made.app.act("stop")
    made.now += 600.0
    made.app.act("keep")
    assert made.taken("kept")[1] == made.taken("kept")[0]


@pytest.mark.parametrize(("late", "length"), [(0.3, 4.3), (-0.3, 3.7)])
def test_what_is_kept_begins_on_a_bar_line(rehearsal, late, length):
    """Whether the button is pressed a little after one or before; whatever the tempo has been."""
    made = rehearsal(meter="3/4")
    made.run(3.0 - 0.1)
    made.app.set("bpm", 90)  # two bars are over
    made.run(8.0 + late, [e for n in range(13) for e in key(n / 1.5, 60 + n, 0.1)])  # a note a beat
    made.app.act("keep", bars=2)
    (kept,) = made.taken("kept")
    assert kept.onset[0] == pytest.approx(0.0, abs=0.02) and kept.pitch[0] == 66
    assert kept.end <= length


def test_what_is_held_into_what_is_kept_is_in_it(rehearsal):
    """From its beginning on, as in a DAW's clip; but not the end of a note that was released late."""
    made = rehearsal(listen=0)
    made.run(7.9, [*key(1.9, 48, 4.0), *key(3.0, 50, 1.1), (2.0, [0x90, 55, 80]), *key(5.0, 60)])
    made.app.act("keep", bars=2)
    (kept,) = made.taken("kept")
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


def test_the_take_has_no_notes_that_never_sounded(rehearsal):
    """A second of them is committed when it stops; and one sounds on that is cut."""

    def scale(scene):
        for k in range(int(scene.start * 10) + 1, int(scene.end * 10)):
            yield Step(k / 10, (k / 10, 0.5, k % 128, 0, 80), 0)

    for latency in (0.0, 150.0, -150.0):
        made = rehearsal(plan=scale, commit=1000.0, latency=latency)
        made.run(3.93)
        made.app.act("stop")
        notes = made.taken()[-1]
        assert len(made.struck()) > 10 and sorted(notes.pitch) == sorted(made.struck())
        assert notes.duration.min() < 0.15 and notes.end == pytest.approx(4.03 + latency / 1000, abs=0.02)
        for path in made.app.recorder.folder.glob("*.mid"):
            path.unlink()


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
