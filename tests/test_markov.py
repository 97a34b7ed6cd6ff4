"""Laws of the chords that are recalled: against sums over all paths, in every key, and from a file or not at all."""

from collections import Counter
from itertools import product

import _script
import numpy as np
import pytest
import recall
from hypothesis import given, settings
from hypothesis import strategies as st
from safetensors.numpy import save_file

from anticipation.data.shards import join
from anticipation.data.shards import write as write_shards
from anticipation.errors import CheckpointError
from anticipation.infilling.consensus import consensus, recalled
from anticipation.model import checkpoint
from anticipation.music.grid import edges_of
from anticipation.music.harmony import CHORD_TONES, NO_CHORD, chord_notes
from anticipation.music.keys import key_odds
from anticipation.music.markov import FILE, MODULATES, Markov
from anticipation.music.notes import BEAT, CHORD, Notes
from anticipation.music.symbols import parse_chord
from anticipation.music.tempo import TempoMap

SONG = [parse_chord(name) for name in ("C", "C", "Am", "Am", "F", "F", "G", "G")]
BEATS = TempoMap.constant(120.0).beats(32.0)


def song(symbols=SONG, beats=BEATS) -> tuple[Notes, Notes]:
    """Arpeggios over a chord for every beat, and the chart."""
    chords = [symbols[i % len(symbols)] for i in range(len(beats))]
    edges = edges_of(beats)
    tune = Notes.of((on + 0.24 * k, 0.2, 60 + int(np.flatnonzero(CHORD_TONES[symbol])[k]), 73, 80)
                    for on, symbol in zip(beats.onset, chords, strict=True) for k in range(2))  # fmt: skip
    return tune, beats + chord_notes(zip(edges[:-1], edges[1:], chords, strict=True))


@pytest.fixture(scope="module")
def markov() -> Markov:
    return Markov.count([(*song(), 100.0)])


def test_odds_are_odds(markov):
    for odds in (markov.moves, markov.heard, markov.first):
        np.testing.assert_allclose(odds.sum(-1), 1.0)
        assert (odds > 0).all()
    nobody = Markov.count([])
    np.testing.assert_allclose(nobody.first, 1 / NO_CHORD)
    assert np.isfinite(nobody.odds(song()[0], edges_of(BEATS), BEATS.pitch)).all()


@settings(max_examples=10)
@given(st.integers(1, 3), st.integers(0, 1000))
def test_odds_are_the_sum_over_all_paths(count, seed):
    """Over two chords in twelve keys, every sequence of them weighed one by one."""
    rng = np.random.default_rng(seed)
    few = rng.choice(NO_CHORD, 2, replace=False)
    moves, first = np.full((4, NO_CHORD, NO_CHORD), 1e-300), np.full(NO_CHORD, 1e-300)
    moves[np.ix_(range(4), few, few)], first[few] = rng.random((4, 2, 2)) + 0.01, rng.random(2) + 0.01
    heard = rng.random((NO_CHORD, 12)) + 0.05
    markov = Markov(moves, heard / heard.sum(1, keepdims=True), first)
    melody = Notes.of((0.5 * i, 0.5, 60 + 4 * (i % 2), 73, 80) for i in range(count))
    edges, places = 0.5 * np.arange(count + 1), rng.integers(0, 4, count)

    def weigh(path: tuple[tuple[int, int], ...]) -> float:
        odds = 1.0
        for i, (chord, key) in enumerate(path):
            step = MODULATES / 12 * first[chord]
            if i and path[i - 1][1] == key:
                step += (1 - MODULATES) * moves[places[i], path[i - 1][0], chord]
            begins = key_odds(melody)[key] * first[chord]
            odds *= (step if i else begins) * markov.heard[chord, ((0, 4)[i % 2] - key) % 12]
        return odds

    paths = list(product(product(few, range(12)), repeat=count))
    weights = np.array([weigh(path) for path in paths])
    chords = np.array([[chord // 12 * 12 + (chord + key) % 12 for chord, key in path] for path in paths])
    expected = np.tensordot(weights / weights.sum(), chords[..., None] == np.arange(NO_CHORD), 1)
    np.testing.assert_allclose(markov.odds(melody, edges, places), expected, atol=1e-9)
    np.testing.assert_array_equal(markov.odds(melody, edges, places, 2), markov.odds(melody, edges, places)[2:])


def test_a_song_that_changes_its_key_is_recalled_throughout(markov):
    """However far the key moves, and however long it was another."""
    tune, chart = song()
    beats, chords = (chart[chart.instrument == kind] for kind in (BEAT, CHORD))
    half = float(beats.onset[len(beats) // 2])
    tune, chords = (
        part.between(0, half - 0.01) + part.between(half - 0.01, 99).transpose(6) for part in (tune, chords)
    )
    assert consensus(recalled(markov, tune + beats, edges_of(beats)), edges_of(beats), 0.0) == chords


def test_a_song_is_recalled_in_every_key(markov):
    """From its melody alone; what a beat has no melody for, its neighbours tell."""
    tune, chart = song()
    edges = edges_of(BEATS)
    for shift in range(-5, 7):
        chords = consensus(recalled(markov, tune.transpose(shift) + BEATS, edges), edges, 0.0)
        assert chords == chart.chords.transpose(shift)
    silent = tune[(tune.onset < 8.0) | (tune.onset >= 9.0)]
    assert consensus(recalled(markov, silent + BEATS, edges), edges, 0.0) == chart.chords


def test_what_is_asked_for_is_part_of_what_is_known(markov):
    """Between any edges, with beats or without, the chords are those of that time."""
    tune, _ = song()
    whole = recalled(markov, tune + BEATS, edges_of(BEATS))
    some = recalled(markov, tune + BEATS, np.array([8.0, 8.5, 9.0]))
    np.testing.assert_allclose(some, whole[16:18])
    halves = recalled(markov, tune + BEATS, np.array([8.25, 8.5, 8.75]))
    assert halves.shape == (2, NO_CHORD) and np.isfinite(halves).all()
    free = recalled(markov, tune, np.arange(8.0, 12.1, 0.5))
    assert free.shape == (8, NO_CHORD) and ((free >= 0) & (free <= 1 + 1e-9)).all()


def test_it_ships_beside_the_weights(random_model, markov, tmp_path):
    from copy import copy

    model = copy(random_model())
    checkpoint.save(model, tmp_path)
    plain = checkpoint.load(tmp_path)
    assert plain.markov is None
    model.markov = markov
    checkpoint.save(model, tmp_path)
    loaded = checkpoint.load(tmp_path)
    np.testing.assert_allclose(loaded.markov.moves, markov.moves, atol=1e-6)
    assert loaded.fingerprint != plain.fingerprint
    assert sorted(path.name for path in tmp_path.iterdir()) == ["config.json", FILE, "model.safetensors"]


@pytest.mark.parametrize("change", ["bytes", "shape", "names", "negative", "not a number"])
def test_a_broken_file_is_one_line(markov, tmp_path, change):
    parts = markov.tensors()
    if change == "shape":
        parts["moves"] = parts["moves"][:2].copy()
    if change == "names":
        del parts["first"]
    if change == "negative":
        parts["first"][0] = -1
    if change == "not a number":
        parts["heard"][0, 0] = np.nan
    save_file(parts, tmp_path / FILE)
    if change == "bytes":
        (tmp_path / FILE).write_bytes(b"\x80\x04pickle")
    with pytest.raises(CheckpointError, match="^[^\n]*harmony.safetensors[^\n]*$"):
        Markov.load(tmp_path / FILE)


@pytest.mark.parametrize("what", [["--keys"], ["--beats"], ["--drums"], ["-o", FILE]])
def test_shards_without_songs_to_count_are_told_in_one_line(tmp_path, monkeypatch, capsys, what):
    monkeypatch.chdir(tmp_path)
    write_shards(tmp_path / "part", [("folk", "1.mid", "", Notes.of([(0, 1, 60, 0, 64)]))], Counter(), {})
    join([tmp_path / "part"], tmp_path / "shards", lambda *piece: "train")
    monkeypatch.setattr("sys.argv", ["recall", "shards", *what])
    with pytest.raises(SystemExit, match="2"):
        _script.run(recall.main)
    out, err = capsys.readouterr()
    assert "recall: shards has no training pieces of " in err and err.count("\n") == 1
    assert not out and not (tmp_path / FILE).exists()
