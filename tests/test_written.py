"""Laws of new tracks: more of a part sounds as the part does, on whatever channel there is."""

import numpy as np
import pytest

from anticipation.errors import RequestError
from anticipation.infilling import tasks
from anticipation.infilling.habits import at_once
from anticipation.infilling.tasks import Options
from anticipation.music.notes import DRUMS, Notes
from anticipation.score import smf
from anticipation.score.midi import Score
from anticipation.score.tracks import scan

QUICK = Options(seed=1, best_of=1, chords="none")
GUITAR, PIANO = 25, 0


def line(instrument: int, pitch: int) -> list[tuple]:
    return [(0.5 * i, 0.5, pitch + i % 5, instrument, 80) for i in range(32)]


def track(*events: tuple[int, int, tuple[int, ...]], name: str | bytes = "") -> bytes:
    """(tick, status, data) rows as a track."""
    head = [smf.meta(0, smf.TRACK_NAME, name.encode() if isinstance(name, str) else name)] if name else []
    rows = sorted(((tick, status, bytes(data)) for tick, status, data in events), key=lambda row: row[0])
    return smf.track([*head, *rows, smf.meta(rows[-1][0] if rows else 0, smf.END_OF_TRACK)])


def notes_on(channel: int, pitch: int, count: int = 32) -> list[tuple[int, int, tuple[int, ...]]]:
    ons = [(480 * i, 0x90 | channel, (pitch + i % 5, 80)) for i in range(count)]
    return ons + [(480 * i + 470, 0x80 | channel, (pitch + i % 5, 64)) for i in range(count)]


SETUP = [(0, 0xB2, (0, 8)), (0, 0xB2, (32, 1)), (0, 0xC2, (GUITAR,)), (0, 0xB2, (7, 55)), (0, 0xB2, (10, 20)),
         (0, 0xB2, (101, 0)), (0, 0xB2, (100, 0)), (0, 0xB2, (6, 12)), (3000, 0xB2, (11, 90)), (3000, 0xB2, (64, 127)),
         (3000, 0xE2, (0, 80)), (3000, 0xB2, (1, 60))]  # fmt: skip


def file_of(*tracks: bytes) -> Score:
    return Score.from_bytes(smf.File(1, 480, chunks=tuple((b"MTrk", body) for body in tracks)).encode())


def body(score: Score, number: int) -> bytes:
    """The events of a track."""
    return smf.decode(score.data)[0].tracks[number]


def said(score: Score, number: int) -> list[tuple[int, int, tuple[int, ...]]]:
    """(tick, kind, data) of a track's channel messages but notes."""
    return [(tick, status & 0xF0, tuple(data)) for tick, status, data, _ in smf.events(body(score, number))
            if 0xA0 <= status < 0xF0]  # fmt: skip


WANTED = [(0, 0xB0, (0, 8)), (0, 0xB0, (32, 1)), (0, 0xC0, (GUITAR,)), (0, 0xB0, (7, 55)), (0, 0xB0, (10, 20)),
          (0, 0xB0, (101, 0)), (0, 0xB0, (100, 0)), (0, 0xB0, (6, 12)), (3000, 0xB0, (11, 90))]  # fmt: skip


@pytest.mark.parametrize("apart", [False, True])
def test_a_fill_sounds_as_its_part_does(random_model, apart):
    """Its bank, volume, pan, expression and range of bends, wherever the file sets them, and its name. Not what its
    player did: pedals, wheels, bends."""
    tracks = [track(*SETUP), track(*notes_on(2, 50), name="Lead")] if apart else [
        track(*SETUP, *notes_on(2, 50), name="Lead")]  # fmt: skip
    score = file_of(*tracks)
    assert [part.name for part in score.parts] == ["Lead"]
    (take,) = tasks.infill(score, random_model(), 8.0, 12.0, options=QUICK)
    own, fill = take.score.parts
    assert fill.name == "Lead" and fill.channel != 2 and fill.instrument == own.instrument == GUITAR
    assert said(take.score, fill.track) == WANTED
    assert take.score.data.startswith(score.without(np.isin(np.arange(32), range(16, 24))).data[14:], 14)


@pytest.mark.parametrize(
    "name, shown",
    [("ピアノ".encode(), "ピアノ"), ("ピアノ １".encode("cp932"), "ピアノ １"),
     ("Flöte à deux".encode("latin-1"), "Flöte à deux"), (b"  Lead \x1b[31m\0", "Lead [31m"), (b"", "steel guitar")],
)  # fmt: skip
def test_a_fill_has_the_name_of_its_part_to_the_byte(random_model, name, shown):
    """However it is encoded; what is shown of it steers no terminal."""
    score = file_of(track(*SETUP, *notes_on(2, 50), name=name))
    (take,) = tasks.infill(score, random_model(), 8.0, 12.0, options=QUICK)
    assert [part.name for part in take.score.parts] == [shown, shown]
    assert smf.meta(0, smf.TRACK_NAME, name or shown.encode())[2] in body(take.score, 1)


def test_a_new_part_has_settings_of_its_own(random_model):
    score = file_of(track(*SETUP, *notes_on(2, 50), name="Lead"))
    (take,) = tasks.accompany(score, random_model(), "steel guitar", options=QUICK)
    assert take.score.parts[1].name == "steel guitar" and said(take.score, 1) == [(0, 0xC0, (GUITAR,))]


def test_settings_later_than_the_last_note_are_left_out(random_model):
    score = file_of(track(*SETUP, (15000, 0xB2, (7, 0)), *notes_on(2, 50), name="Lead"))
    (take,) = tasks.infill(score, random_model(), 0.0, 2.0, options=QUICK)
    fill = take.score.parts[1]
    assert all(tick <= 480 * 5 for tick, _, _ in said(take.score, fill.track)) and said(take.score, fill.track)
    (take,) = tasks.continue_(score, random_model(), 2.0, options=QUICK)
    assert (15000, 0xB0, (7, 0)) in said(take.score, take.score.parts[1].track)


def test_where_no_channel_is_left_a_fill_joins_its_part(random_model):
    """Rather than another one of its program; the channel is set already."""
    others = [
        track((0, 0xC0 | c, (GUITAR if c == 0 else 40 + c,)), *notes_on(c, 60, 4)) for c in range(16) if c not in (2, 9)
    ]
    score = file_of(*others, track(*SETUP, *notes_on(2, 50), name="Lead"))
    assert {part.channel for part in score.parts} == set(range(16)) - {9}
    (take,) = tasks.infill(score, random_model(), 8.0, 12.0, parts=["Lead"], options=QUICK)
    fill = take.score.parts[-1]
    assert (fill.channel, fill.name, fill.instrument) == (2, "Lead", GUITAR)
    assert said(take.score, fill.track) == [(0, 0xC0, (GUITAR,))]


def test_where_no_channel_is_left_a_fill_joins_its_part_while_that_has_the_program(random_model):
    """A further port's channel is another part's for a player that knows one port: its piano would be a guitar."""
    others = [track((0, 0xC0 | c, (40 + c,)), *notes_on(c, 60, 4)) for c in range(16) if c not in (2, 9)]
    lead = track(*SETUP, (12000, 0xC2, (30,)), *notes_on(2, 50), name="Lead")
    score = file_of(*others, lead)
    (take,) = tasks.infill(score, random_model(), 4.0, 8.0, parts=["steel guitar"], options=QUICK)
    fill = next(part for part in take.score.parts if part.stamp)
    assert (fill.channel, fill.instrument) == (2, GUITAR) and not scan(body(take.score, fill.track)).port
    first = int(take.score.tempo.ticks(take.score.notes.onset[fill.mask].min()))
    assert said(take.score, fill.track) == [(first, 0xC0, (GUITAR,))]


def test_where_no_channel_is_left_and_none_is_alike_a_further_port_is_set(random_model):
    """A channel on which the program changes is nobody's to join."""
    others = [track((0, 0xC0 | c, (40 + c,)), *notes_on(c, 60, 4)) for c in range(16) if c not in (2, 9)]
    score = file_of(*others, track(*SETUP, (2500, 0xC2, (30,)), *notes_on(2, 50), name="Lead"))
    (take,) = tasks.infill(score, random_model(), 1.0, 8.0, parts=["steel guitar"], options=QUICK)
    fill = next(part for part in take.score.parts if part.stamp)
    assert fill.instrument == GUITAR and WANTED[0] in said(take.score, fill.track)
    assert smf.meta(0, smf.PORT, b"\1")[2] in body(take.score, fill.track)


def test_a_further_port_has_the_channel_that_sounds_most_like_it():
    """A player that knows one port plays both parts with one sound: a bass is to be another bass, and no flute."""
    score = file_of(*[track((0, 0xC0 | c, (5 * c,)), *notes_on(c, 60, 4)) for c in range(16) if c != 9])
    (bass,) = score.with_notes(Notes.of([(1.0, 0.4, 40, 33, 80)])).parts[15:]
    assert bass.instrument == 33 and score.parts[bass.channel].instrument == 35


def test_drums_keep_their_kit(random_model):
    score = file_of(track((0, 0xC9, (16,)), (0, 0xB9, (7, 70)), *notes_on(9, 36), name="Kit"))
    (take,) = tasks.infill(score, random_model(), 4.0, 8.0, options=QUICK)
    fill = take.score.parts[1]
    assert (fill.channel, fill.name, fill.instrument, said(take.score, 1)) == (9, "Kit", DRUMS, [])


HANDS = track((0, 0xB0, (7, 90)), *notes_on(0, 72), name="RH"), track((0, 0xB1, (7, 60)), *notes_on(1, 48), name="LH")


def test_two_hands_of_one_program_are_written_on_a_track_each(random_model):
    """By pitch, with the name and the volume of its own."""
    score = file_of(*HANDS)
    (take,) = tasks.infill(score, random_model(), 4.0, 12.0, options=QUICK)
    assert [part.name for part in take.score.parts] == ["RH", "LH", "RH", "LH"]
    right, left = (take.score.notes[part.mask] for part in take.score.parts[2:])
    assert np.median(right.pitch) > np.median(left.pitch) and len(right) + len(left) == len(take.notes)
    assert [(0, 0xB0, (7, loud)) in said(take.score, 2 + i) for i, loud in enumerate((90, 60))] == [True, True]
    (take,) = tasks.infill(score, random_model(), 4.0, 8.0, parts=["RH"], options=QUICK)
    assert [part.name for part in take.score.parts] == ["RH", "LH", "RH"]


def test_hands_whose_notes_are_all_rewritten_share_as_they_did(random_model):
    (take,) = tasks.infill(file_of(*HANDS), random_model(), parts=["RH", "LH"], options=QUICK)
    assert [part.name for part in take.score.parts] == ["RH", "LH"] and all(part.stamp for part in take.score.parts)
    right, left = (take.score.notes[part.mask].pitch for part in take.score.parts)
    assert np.median(right) > np.median(left)


@pytest.mark.parametrize("task", [tasks.infill, tasks.vary])
def test_another_part_of_the_same_program_is_another_voice(random_model, task):
    """A viola stays one line over the chords of a cello, as it is elsewhere."""
    strings = [(0, 0xC0 | channel, (48,)) for channel in (0, 1)]
    chords = [event for pitch in (36, 43, 50) for event in notes_on(1, pitch)]
    score = file_of(track(strings[0], *notes_on(0, 62), name="Viola"), track(strings[1], *chords, name="Cello"))
    for seed in range(3):
        options = Options(seed=seed, best_of=1, chords="none")
        (take,) = task(score, random_model(), parts=["Viola"], start=4.0, end=12.0, options=options)
        assert at_once(take.notes) == 1 and {part.name for part in take.score.parts if part.stamp} == {"Viola"}
        assert take.score.notes[take.score.part("Cello").mask] == score.notes[score.part("Cello").mask]


def test_what_was_written_for_one_of_two_hands_is_more_of_it(random_model):
    """Also where both have one name."""
    hands = track(*notes_on(0, 72), name="Piano"), track(*notes_on(1, 48), name="Piano")
    (once,) = tasks.infill(file_of(*hands), random_model(), 4.0, 8.0, options=QUICK)
    (twice,) = tasks.infill(once.score, random_model(), 8.0, 12.0, options=QUICK)
    parts = twice.score.parts
    assert [part.name for part in parts] == ["Piano"] * 6 and len({part.channel for part in parts}) == 6


def test_a_part_that_we_wrote_and_its_fills_answer_to_one_name(random_model):
    (band,) = tasks.accompany(Score.from_notes(Notes.of(line(73, 72))), random_model(), "piano", options=QUICK)
    (hole,) = tasks.infill(band.score, random_model(), 4.0, 8.0, parts=["piano"], options=QUICK)
    assert [part.name for part in hole.score.parts] == ["flute", "piano", "piano"]
    (again,) = tasks.infill(hole.score, random_model(), 6.0, 10.0, parts=["piano"], options=Options(
        seed=2, best_of=1, chords="none"))  # fmt: skip
    kept = again.score.notes[np.any([part.mask for part in again.score.parts if "seed 2" not in part.stamp], axis=0)]
    assert not len(kept.of_instruments([PIANO]).between(6.1, 9.9)), "both gave way"


def test_a_part_and_its_fills_answer_to_one_name(random_model):
    """To be rewritten or followed; but not what was written beside it."""
    score = Score.from_notes(Notes.of(line(PIANO, 60)))
    (once,) = tasks.infill(score, random_model(), 4.0, 8.0, options=QUICK)
    (twice,) = tasks.infill(once.score, random_model(), 4.0, 8.0, parts=["piano"], options=Options(
        seed=2, best_of=1, chords="none"))  # fmt: skip
    assert len(twice.score.parts) == 2 and "seed 2" in twice.score.parts[1].stamp, "nothing is left of the first fill"
    (band,) = tasks.accompany(score, random_model(), "piano", options=QUICK)
    assert band.score.part("piano").index == 0
    (hole,) = tasks.infill(band.score, random_model(), 4.0, 8.0, parts=["piano"], options=QUICK)
    beside = hole.score.notes[hole.score.parts[1].mask]
    assert beside == band.score.notes[band.score.parts[1].mask]
    with pytest.raises(RequestError, match="several parts match 'a'"):
        file_of(track(*notes_on(0, 60), name="ab"), track(*notes_on(1, 60), name="ac")).part("a")
