"""Laws of endings: where the last known note is held, new parts begin their last notes with it and hold them too."""

from dataclasses import replace
from functools import partial

import numpy as np
import pytest

from anticipation.infilling import bounds, tasks
from anticipation.infilling.ending import Ending, ending_of
from anticipation.infilling.prompt import Prompt
from anticipation.infilling.request import Infill
from anticipation.model import bias
from anticipation.music.notes import DRUMS, Notes
from anticipation.music.tempo import TempoMap
from anticipation.score.midi import Score

Options = partial(tasks.Options, best_of=1)
BEAT = 0.5  # seconds
TEMPO = TempoMap.constant(120.0)
FLUTE, PIANO, BASS = 73, 0, 33


def tune(*beats: float) -> Notes:
    """Notes of so many beats, one after another."""
    onset = np.cumsum([0, *beats[:-1]]) * BEAT
    return Notes.of(
        (on, count * BEAT, 72 + i % 3, FLUTE, 80) for i, (on, count) in enumerate(zip(onset, beats, strict=True))
    )


def ending(notes: Notes, start: float = 0.0, end: float | None = None, piece_end: float | None = None) -> Ending | None:
    known = notes + TEMPO.beats(notes.end + 4)
    return ending_of(known, start, notes.end if end is None else end, notes.end if piece_end is None else piece_end)


def test_new_parts_end_with_a_held_note():
    assert ending(tune(*[1] * 12, 4)) == Ending(6.0, 8.0)
    assert ending(tune(*[0.5] * 14, 1)) == Ending(3.5, 4.0)


def test_or_where_the_last_bar_begins_that_it_is_held_through():
    assert ending(tune(*[1] * 10, 6)) == Ending(6.0, 8.0)
    assert ending(tune(*[1] * 8, 12)) == Ending(8.0, 10.0)
    assert ending(tune(*[1] * 10, 2.5)) == Ending(5.0, 6.25)  # half a beat is too little to end in


@pytest.mark.parametrize(
    ("notes", "where"),
    [
        (tune(*[1] * 16), {}),  # a loop, which goes on to its end
        (tune(*[4] * 8), {}),
        (tune(*[1] * 12, 4), {"piece_end": 9.0}),  # others play on
        (tune(*[1] * 12, 4), {"end": 5.0}),
        (tune(*[1] * 12, 4), {"start": 7.0}),  # a continuation
        (tune(2, 4), {}),  # too little to tell
    ],
)
def test_other_pieces_do_not_end_so(notes, where):
    assert ending(notes, **where) is None


def test_no_ending_is_told_without_beats():
    assert ending_of(tune(*[1] * 12, 4), 0.0, 8.0, 8.0) is None


def test_what_sounds_with_the_last_notes_is_held_with_them():
    """Also a short one that begins with them; not what has ended by then, nor drums."""
    keys = Notes.of([(5.0, 0.5, 60, PIANO, 80), (5.5, 1.0, 62, PIANO, 80), (6.0, 0.05, 64, PIANO, 80)])
    others = Notes.of([(6.0, 3.0, 40, BASS, 80), (6.0, 0.25, 36, DRUMS, 80)])
    assert Ending(6.0, 8.0).held(keys + others).offset.tolist() == [5.5, 8.0, 8.0, 8.0, 6.25]


@pytest.mark.parametrize("seed", range(3))
def test_written_parts_come_to_rest_with_the_piece(random_model, seed):
    """A model that knows nothing begins notes at any place, but none after the tune's last note, and holds what it has
    there."""
    score = Score.from_notes(tune(*[1] * 12, 4), TEMPO)
    (take,) = tasks.accompany(score, random_model(), [PIANO, BASS, DRUMS], options=Options(seed=seed))
    assert len(take.notes) > 20
    assert take.notes.onset.max() < 6.0 + 0.05
    sounding = take.notes.pitched[take.notes.pitched.offset > 6.1]
    assert len(sounding)
    assert np.allclose(sounding.offset, 8.0, atol=0.01)


def test_a_piece_that_goes_on_comes_to_rest_as_it_did():
    """In the last bar that leaves time for it, at the same place and for as long, with as many notes. Not if it goes
    on for fewer bars than four, nor where others play on, or from within."""
    piece = tune(*[1] * 12, 4) + Notes.of(
        [(6.0, 2.0, 40, BASS, 80), (6.0, 2.0, 60, PIANO, 80), (6.0, 2, 64, PIANO, 80)]
    )

    def once_more(notes: Notes, start: float, end: float, piece_end: float) -> Ending | None:
        return ending_of(notes + TEMPO.beats(40.0), start, end, piece_end)

    closes = {FLUTE: 1, BASS: 1, PIANO: 2}
    assert once_more(piece, 8.0, 24.0, 8.0) == Ending(22.0, 24.0, closes)
    assert once_more(piece, 8.0, 23.0, 8.0) == Ending(20.0, 22.0, closes)
    late = tune(*[1] * 13, 2)
    assert once_more(late, 8.0, 24.0, 7.5) == Ending(22.5, 23.5, {FLUTE: 1})
    assert once_more(piece, 8.0, 14.0, 8.0) is once_more(piece, 7.0, 24.0, 8.0) is once_more(piece, 8, 24, 9) is None
    assert once_more(tune(*[1] * 16), 8.0, 24.0, 8.0) is None


@pytest.mark.parametrize("seed", range(3))
def test_parts_that_go_on_end_together(random_model, seed):
    """A model that knows nothing begins in each at the last moment what it has begun at the piece's, on its chord."""
    bass = Notes.of([*((i * BEAT, BEAT, 40, BASS, 80) for i in range(12)), (6.0, 2.0, 43, BASS, 80)])
    chords = Notes.of((i * 2.0, 2.0, pitch, PIANO, 80) for i in range(4) for pitch in (55, 59, 62))
    score = Score.from_notes(tune(*[1] * 12, 4) + bass + chords, TEMPO)
    (take,) = tasks.continue_(score, random_model(), bars=6, options=Options(seed=seed))
    assert take.notes.onset.max() < 18.05
    for instrument in (FLUTE, PIANO, BASS):
        own = take.notes.of_instruments([instrument])
        assert abs(own.onset - 18.0).min() < 0.05 and np.allclose(own.offset[own.onset > 17.95], 20.0, atol=0.01)
    assert len(take.chords) == 0 or take.chords.pitch[-1] == 7  # G


def test_who_plays_chords_ends_with_one_on_its_root(random_model, monkeypatch):
    """Beside a bass the root is the bass's. A model that knows nothing draws many a note out of order, which goes."""
    monkeypatch.setattr(bounds, "OFF_ROOT", 1e-9)
    bass = Notes.of((i * BEAT, BEAT, 40, BASS, 80) for i in range(13))

    def last_chords(known: Notes, lone: float) -> list[np.ndarray]:
        monkeypatch.setattr(bias, "LONE", lone)
        options = Options(seed=1, takes=8, chords="| Am | %")
        takes = tasks.accompany(Score.from_notes(known, TEMPO), random_model(), [PIANO], options=options)
        return [take.notes.pitch[abs(take.notes.onset - 6.0) < 0.05] for take in takes]

    alone, seldom, beside = (
        last_chords(known, lone)
        for known, lone in ((tune(*[1] * 12, 4), 1e-9), (tune(*[1] * 12, 4), 0.999), (tune(*[1] * 12, 4) + bass, 1e-9))
    )
    assert {pitches.min() % 12 for pitches in alone} == {9} != {pitches.min() % 12 for pitches in beside}
    assert sum(map(len, alone)) > 1.5 * sum(map(len, seldom))


def test_a_verse_that_comes_again_does_not_end_as_it_went_on(random_model):
    """Where the piece went as at its last moment something else may have been begun, or a single note of a chord."""
    places = np.arange(13) * BEAT
    before = np.stack([np.where(places < 3.0, -1, np.arange(13) - 6), np.zeros(13, int)], axis=1)
    known = tune(*[1] * 12, 4) + TEMPO.beats(8.0)
    request = Infill(known, 0.0, 8.0, (PIANO,), places=places, before=before)
    for ending in (None, Ending(6.0, 8.0)):
        told = Prompt.of(random_model(), replace(request, ending=ending))
        there = np.rint((places[6:] - told.origin) * 100).astype(int)
        assert (told.limits.bias.precedent.there[there[:-1], 0] == there[:-1] - 300).all()
        assert told.limits.bias.precedent.there[there[-1], 0] == (there[-1] - 300 if ending is None else -1)


def test_of_a_hole_at_the_end_the_other_parts_tell(random_model):
    bass = Notes.of((i * BEAT, BEAT, 40, BASS, 80) for i in range(16))
    score = Score.from_notes(tune(*[1] * 12, 4) + bass, TEMPO)
    (take,) = tasks.infill(score, random_model(), 4.0, 8.0, parts=["finger bass"], options=Options(seed=1))
    assert take.notes.onset.max() < 6.0 + 0.05
    whole = tasks.infill(score, random_model(), 4.0, 8.0, parts=["flute"], options=Options(seed=1))  # the bass plays on
    assert max(take.notes.onset.max() for take in whole) > 6.0
