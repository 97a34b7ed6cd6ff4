"""Laws of sharing out: everybody plays on in his own register, as it moves, and what hands can."""

import numpy as np
import pytest

from anticipation.music.notes import DRUMS, Notes
from anticipation.score.sharing import share


def line(pitch, start: float = 0.0, count: int = 64, length: float = 0.25, instrument: int = 0) -> Notes:
    """A figure of scale steps; pitch: of its lowest note, a number or a function of the seconds."""
    rows = []
    for i in range(count):
        onset = start + i * length
        rows.append(
            (onset, length, round(pitch(onset) if callable(pitch) else pitch) + (0, 2, 4, 5)[i % 4], instrument, 80)
        )
    return Notes.of(rows)


def hidden(parts: list[Notes], start: float, end: float) -> tuple[Notes, list[Notes], np.ndarray]:
    """The notes of a hole, what is known of each part, and whose they are."""
    holes = [part.between(start, end) for part in parts]
    rows = sorted((*row, k) for k, hole in enumerate(holes) for row in hole)
    known = [part[(part.onset < start) | (part.onset >= end)] for part in parts]
    return Notes.of(row[:5] for row in rows), known, np.array([row[5] for row in rows])


@pytest.mark.parametrize(
    "pitches",
    [(72, 48), (67, 62), (76, 71, 64, 52), (lambda t: 60 + 2 * t, lambda t: 46 + 2 * t), (48, 72)],
    ids=["two hands", "close violins", "a choir", "both climb two octaves", "the lower one first"],
)
def test_everybody_keeps_his_register(pitches):
    notes, known, whose = hidden([line(pitch) for pitch in pitches], 6.0, 10.0)
    assert (share(notes, known) == whose).mean() >= 0.95


def test_one_voice_sounds_one_note_and_moves_by_small_steps():
    """Of two that play in one register, who still holds a note does not begin another."""
    high, low = line(64, length=1.0, count=16), line(62, start=0.5, length=1.0, count=16)
    notes, known, _ = hidden([high, low], 6.0, 10.0)
    whose = share(notes, known)
    for k in (0, 1):
        own = notes[whose == k]
        assert len(own) and (own.onset[1:] >= own.offset[:-1] - 1e-6).all()


def test_a_hand_holds_what_a_hand_can():
    """A chord that spans three octaves is for both, wherever its notes are nearest to."""
    right, left = line(72), line(48)
    chord = Notes.of((7.0, 1.0, pitch, 0, 80) for pitch in (50, 57, 62, 66, 74))
    _, known, _ = hidden([right, left], 6.0, 10.0)
    whose = share(chord, [known[0] + Notes.of((t, 0.5, 66, 0, 80) for t in (1.0, 2.0, 3.0)), known[1]])
    for k in (0, 1):
        assert np.ptp(chord.pitch[whose == k]) <= 14 and (np.diff(whose) <= 0).all()


def test_who_holds_a_known_note_begins_no_other():
    """However near to his own notes it would be."""
    high, low = line(64, length=1.0, count=16), line(60, length=1.0, count=16)
    note, known, _ = Notes.of([(8.5, 1.0, 66, 0, 80)]), *hidden([high, low], 6.0, 12.0)[1:]
    assert share(note, known) == [0]
    assert share(note, [known[0] + Notes.of([(8.0, 2.0, 72, 0, 80)]), known[1]]) == [1]


def test_drums_are_known_by_what_is_struck():
    kick, hat = (Notes.of((0.5 * i, 0.1, pitch, DRUMS, 80) for i in range(16)) for pitch in (36, 35))
    notes = Notes.of((3.0 + 0.25 * i, 0.1, 35 + i % 2, DRUMS, 80) for i in range(8))
    assert (share(notes, [kick, hat]) == np.where(notes.pitch == 36, 0, 1)).all()


def test_nothing_and_nobody():
    assert len(share(Notes.of([]), [line(60), line(72)])) == 0
    assert (share(line(60), [line(60)]) == 0).all() and (share(line(60), []) == 0).all()
    assert (share(line(60), [Notes.of([]), line(60)]) == 1).all()
    assert len(share(line(60), [Notes.of([]), Notes.of([])])) == 64
