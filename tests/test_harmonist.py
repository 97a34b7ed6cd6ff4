"""Laws of live chords: guessed from what was heard by now, told once, and changed on the half beat."""

from dataclasses import replace

import numpy as np
import pytest
from test_chordist import BEATS, SONG, song

from anticipation.live.harmonist import Harmonist
from anticipation.live.scene import Scene
from anticipation.music.grid import divided
from anticipation.music.harmony import chord_at
from anticipation.music.notes import Notes
from anticipation.music.symbols import parse_chord
from anticipation.music.tempo import TempoMap


def moment(start: float, melody: Notes, chart: Notes = BEATS) -> Scene:
    """What is known at a time: the melody until then, the beats for longer."""
    return Scene(start, start + 2.0, (0,), late=melody.between(0, start), chart=chart.between(0, start + 12), since=0.0)


@pytest.mark.parametrize("shift", [0, 3, -5])
def test_a_song_is_gone_along_with(shift):
    """Chords that change every bar, told before they are heard, in any key: right from the second round on."""
    tune, chart = song(np.repeat(SONG[::2], 4).tolist())
    harmonist, right = Harmonist(), []
    for start in np.arange(0.3, 18.0, 0.25):
        told = harmonist.chords(moment(float(start), tune.transpose(shift)))
        ahead = start + np.array([0.1, 0.6, 1.1])
        right.append(chord_at(told, ahead) == chord_at(chart.chords.transpose(shift), ahead))
    assert np.mean(right[32:]) > 0.95


@pytest.mark.parametrize("turns", [2, 3])
def test_what_was_told_stays_and_changes_on_the_half_beat(turns):
    """Whatever is heard meanwhile; on the third where beats have three parts."""
    rng = np.random.default_rng(0)
    harmonist, before = Harmonist(), Notes.of([])
    for start in np.sort(rng.uniform(0.0, 12.0, 40)):
        mess = Notes.of([(0.13 * i, 0.1, int(rng.integers(48, 84)), 73, 80) for i in range(100)])
        told = harmonist.chords(replace(moment(float(start), mess), turns=turns))
        past = np.arange(0.0, start, 0.05)
        if len(before):
            covered = past[past < before.end - 0.01]
            assert (chord_at(told, covered) == chord_at(before, covered)).all()
        assert abs(told.onset[1:, None] - divided(BEATS, turns)[None]).min(1).max(initial=0) < 1e-6
        assert (
            told.end == pytest.approx(start + 2.0) and (chord_at(told, np.arange(start, start + 2.0, 0.1)) >= 0).all()
        )
        before = told


def test_chords_seldom_change_off_the_beat(monkeypatch):
    """Nor for nothing: notes of any chord are heard, so that of what is thought of them nothing stays."""
    rng = np.random.default_rng(1)
    pitches = rng.choice([60, 62, 64, 65, 67, 69, 71], (3, 50)).tolist()

    def places() -> np.ndarray:
        out = []
        for several in pitches:
            harmonist, mess = Harmonist(), Notes.of((0.25 * i, 0.2, p, 73, 80) for i, p in enumerate(several))
            for start in np.arange(1.1, 10.0, 0.25):
                told = harmonist.chords(moment(float(start), mess))
            out += (told.onset[told.onset > 2.0] * 2 % 4).round(2).tolist()
        return np.array(out)

    now = places()
    for name in ("HALFWAY", "ON_BEAT", "OFF_BEAT"):
        monkeypatch.setattr(f"anticipation.live.harmonist.{name}", 0.0)
    free = places()
    assert (now % 1 != 0).sum() < 0.85 * (free % 1 != 0).sum() and len(now) < 0.95 * len(free)
    monkeypatch.setattr("anticipation.live.harmonist.OFF_BEAT", 9.0)
    assert not (places() % 1 != 0).any()


def test_chords_change_no_faster_in_a_reel():
    """The same notes of any chord at 90 and at 180 beats a minute: by the clock about as often, by the beat less."""
    rng = np.random.default_rng(2)

    def changes(period: float) -> int:
        """In 48 beats of three tunes."""
        beats, count = TempoMap.constant(60 / period).beats(70 * period), 0
        for pitches in several:
            notes = ((period / 2 * i, 0.4 * period, p, 73, 80) for i, p in enumerate(pitches))
            harmonist, mess = Harmonist(), Notes.of(notes)
            for start in np.arange(4.2, 50.0, 0.5) * period:
                told = harmonist.chords(replace(moment(float(start), mess, beats), end=start + 4 * period))
            count += len(told)
        return count

    several = rng.choice([60, 62, 64, 65, 67, 69, 71], (3, 100)).tolist()
    assert changes(1 / 3) < 0.8 * changes(2 / 3)


@pytest.mark.parametrize(("shift", "last", "home"), [(0, 60, "C"), (0, 69, "Am"), (5, 65, "F")])
def test_a_silence_goes_round_in_the_chords_before_it_and_ends_on_the_tonic(shift, last, home):
    """Where of itself it would stay on one. In A minor on that."""
    lines = [64, 62, 60, 62, 64, 64, 64, 65, 62, 62, 67, 69, 71, 69, 67, last]
    tune = Notes.of((0.5 * i, 0.4, p, 73, 80) for i, p in enumerate(lines)).transpose(shift)
    tune = tune.replace(pitch=np.append(tune.pitch[:-1], last))
    harmonist = Harmonist()
    for start in np.arange(0.3, 16.0, 0.25):
        asked = moment(float(start), tune)
        told = harmonist.chords(replace(asked, rest=16.0 if asked.end > 16.0 else None))
    ahead = np.arange(10.1, 15.9, 0.5)
    assert (chord_at(told, ahead) == chord_at(told, ahead - 8.0)).mean() > 0.8 and len(set(chord_at(told, ahead))) > 2
    assert chord_at(told, np.array([16.1])).tolist() == [parse_chord(home)]


CHORDS = [parse_chord(name) for name in ("C", "Dm", "E", "F", "G", "Am", "Bb", "D")]


def shuffled(seed: int) -> list[int]:
    """Eight chords in an order that nobody would expect, a bar each."""
    return np.repeat(np.random.default_rng(seed).permutation(CHORDS), 4).tolist()


@pytest.mark.parametrize("seed", range(3))
def test_a_verse_is_known_when_it_comes_again(seed):
    """Not before its chords are heard; by heart after 16 s of another one, and when the session, a minute and a half
    later, has let go of it."""
    beats = TempoMap.constant(120.0).beats(130.0)
    tune, chart = song(shuffled(seed) + shuffled(seed + 10), beats)
    tune, labels = tune.between(0, 48) + tune.between(96, 130), chart.chords
    harmonist, right = Harmonist(), {}
    for start in np.arange(0.3, 112.0, 0.5):
        since = max(0.0, 30.0 * (start // 30 - 1))
        told = harmonist.chords(Scene(float(start), float(start) + 2.0, (0,), late=tune.between(since, start),
                                      chart=beats.between(since, start + 12), since=since))  # fmt: skip
        ahead = start + np.array([0.6, 1.1, 1.6])
        if start % 16 > 6 and len(told):
            right.setdefault(int(start // 16), []).append(chord_at(told, ahead) == chord_at(labels, ahead))
    share = {verse: float(np.mean(hits)) for verse, hits in right.items()}
    assert share[0] < 0.5 and share[2] > 0.75 and share[6] > 0.75, share


def test_without_beats_there_are_half_seconds():
    tune, _ = song(SONG)
    told = Harmonist().chords(moment(8.1, tune, Notes.of([])))
    assert told.onset[0] == 8.1 and told.end == pytest.approx(10.1)
    np.testing.assert_allclose((told.onset - 8.1) % 0.5, 0.0, atol=1e-9)


def test_the_band_goes_on_alone_and_knows_nothing_of_silence():
    tune, chart = song()
    harmonist = Harmonist()
    assert not len(harmonist.chords(moment(4.0, Notes.of([]))))
    told = harmonist.chords(replace(moment(10.1, Notes.of([])), own=tune.between(0, 10.1)))
    ahead = np.array([10.2, 10.7])
    assert (chord_at(told, ahead) == chord_at(chart.chords, ahead)).all() and told.end == pytest.approx(12.1)
    assert not len(Harmonist().chords(moment(90.0, tune)))  # long ago
