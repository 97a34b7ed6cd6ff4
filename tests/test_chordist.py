"""Laws of the network that hears chords: the same in every key, told only what is known, and from a file or not at
all."""

from collections import Counter
from copy import deepcopy

import _script
import chordist as script
import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from safetensors.torch import save_file

from anticipation.data.shards import Shards, join
from anticipation.data.shards import write as write_shards
from anticipation.errors import CheckpointError
from anticipation.infilling.consensus import consensus
from anticipation.model.chordist import DEPTH, FILE, NEAR, REACH, Chordist, Turned, default, told
from anticipation.music.grid import edges_of
from anticipation.music.harmony import CHORD_TONES, NO_CHORD, QUALITIES, chord_at, chord_notes
from anticipation.music.notes import Notes
from anticipation.music.symbols import parse_chord
from anticipation.music.tempo import TempoMap

SONG = [parse_chord(name) for name in ("C", "C", "Am", "Am", "F", "F", "G", "G")]
BEATS = TempoMap.constant(120.0).beats(32.0)


def song(symbols=SONG, beats=BEATS) -> tuple[Notes, Notes]:
    """Arpeggios from the root up over a chord for every beat, and the chart."""
    chords = [symbols[i % len(symbols)] for i in range(len(beats))]
    edges = edges_of(beats)
    above = [np.sort((np.flatnonzero(tones) - symbol) % 12)[:3].tolist() for symbol, tones in enumerate(CHORD_TONES)]
    tune = Notes.of((on + 0.16 * k, 0.15, 60 + symbol % 12 + interval, 73, 80)
                    for on, symbol in zip(beats.onset, chords, strict=True)
                    for k, interval in enumerate(above[symbol]))  # fmt: skip
    return tune, beats + chord_notes(zip(edges[:-1], edges[1:], chords, strict=True))


def transposed(odds: np.ndarray, semitones: int) -> np.ndarray:
    """(..., NO_CHORD) odds of chords for the same music so many semitones higher."""
    by_root = odds.reshape(*odds.shape[:-1], len(QUALITIES), 12)
    return np.roll(by_root, semitones, axis=-1).reshape(odds.shape)


def blocks(symbols, beats=BEATS, octave: int = 4) -> Notes:
    """Chords as people play them, a beat each."""
    return Notes.of((on, 0.45, 12 * octave + 12 + symbol % 12 + int((tone - symbol) % 12), 0, 80)
                    for on, symbol in zip(beats.onset, np.resize(symbols, len(beats)), strict=True)
                    for tone in np.flatnonzero(CHORD_TONES[symbol]))  # fmt: skip


@pytest.fixture(scope="module")
def drawn() -> Chordist:
    torch.manual_seed(0)
    chordist = Chordist().eval()
    for part in chordist.parameters():  # nothing is nought, as some parts are at first
        torch.nn.init.normal_(part, std=0.2)
    return chordist.requires_grad_(False)


notes = st.lists(
    st.tuples(st.floats(0, 8), st.floats(0.05, 3), st.integers(24, 100), st.sampled_from([0, 33]), st.just(80)),
    min_size=1, max_size=30,
).map(Notes.of)  # fmt: skip


@settings(max_examples=20)
@given(st.integers(0, 11), st.integers(0, 100))
def test_it_is_the_same_in_every_key(drawn, key, seed):
    """What is told of pitch classes, turned, turns what is said of chords."""
    rng = np.random.default_rng(seed)
    classes = torch.from_numpy(rng.random((1, 40, 12, 8))).float()
    beats = torch.from_numpy(rng.random((1, 40, 11))).float()
    here, there = (drawn(turned, beats)[0].numpy() for turned in (classes, classes.roll(key, 2)))
    np.testing.assert_allclose(transposed(here, key), there, atol=2e-4)
    one = Turned(3, 2)
    x = torch.from_numpy(rng.random((5, 12, 3))).float()
    turned = one(x.roll(key, 1).flatten(1)).unflatten(1, (12, 2))
    torch.testing.assert_close(turned, one(x.flatten(1)).unflatten(1, (12, 2)).roll(key, 1))


def test_what_is_laid_out_once_is_what_is_trained(drawn):
    """Matrices of a network that is trained are laid out at every call, those of a fixed one at the first."""
    rng = np.random.default_rng(0)
    classes, beats = torch.from_numpy(rng.random((2, 20, 12, 8))).float(), torch.rand(2, 20, 11)
    trained = deepcopy(drawn).requires_grad_(True)
    torch.testing.assert_close(trained(classes, beats), drawn(classes, beats))
    with torch.no_grad():
        trained.hear.weight.mul_(2.0)
    assert not torch.allclose(trained(classes, beats), drawn(classes, beats))


@given(notes)
def test_what_is_told_is_what_sounds(some):
    """Against a look at every note."""
    edges, some = np.array([0.5, 1.0, 1.7, 2.5, 4.0, 6.0]), some.sorted()
    classes, beats = told(some, edges, np.array([0, 1, 2, 7, -1]))
    lengths = np.diff(edges)
    for i, (a, b) in enumerate(zip(edges[:-1], edges[1:], strict=True)):
        quarters = np.linspace(a, b, 5)
        seconds = np.zeros((4, 12))
        for on, length, pitch in zip(some.onset, some.duration, some.pitch, strict=True):
            seconds[:, pitch % 12] += np.clip(
                np.minimum(on + length, quarters[1:]) - np.maximum(on, quarters[:-1]), 0, 9
            )
        np.testing.assert_allclose(classes[i, :, :4].T, np.clip(seconds / (lengths[i] / 4), 0, 2), atol=1e-5)
        begin = some[(some.onset + NEAR >= a) & (some.onset + NEAR < b)]
        count = np.bincount(begin.pitch % 12, minlength=12)
        np.testing.assert_allclose(classes[i, :, 4], np.minimum(count / 2, 1.5))
        here = some[(some.onset + NEAR < b) & (some.offset - NEAR > a)]
        for column, pitches in ((5, here.pitch[:]), (7, -here.pitch[:])):
            found = np.flatnonzero(classes[i, :, column]).tolist()
            assert found == ([abs(int(pitches.min())) % 12] if len(here) else [])
    assert beats[:, :6].argmax(1).tolist() == [0, 1, 2, 5, 0] and beats[-1, :6].sum() == 0
    known = (edges[1:] > some.onset[0]) & (edges[:-1] < some.end)
    assert (beats[:, 7] == known).all() and (told(some, edges, np.zeros(5), (1.0, 2.5))[1][1:3, 7] == 0).all()


def test_padding_and_what_is_far_away_change_nothing(drawn):
    rng = np.random.default_rng(0)
    classes, beats = torch.from_numpy(rng.random((1, 700, 12, 8))).float(), torch.rand(1, 700, 11)
    alone = drawn(classes[:, :40], beats[:, :40])
    there = (torch.arange(700) < 40)[None]
    torch.testing.assert_close(drawn(classes, beats, there)[:, :40], alone, atol=1e-4, rtol=1e-4)
    other = classes.clone()
    far = DEPTH * (REACH + 2) + 1
    other[:, 50 + far :] = 0
    torch.testing.assert_close(drawn(other, beats)[:, :50], drawn(classes, beats)[:, :50])


@pytest.mark.parametrize("shift", [0, 1, 6, -4])
def test_chords_that_are_played_are_heard(shift):
    edges, played = edges_of(BEATS), blocks(SONG).transpose(shift)
    found = consensus(default().odds(played + BEATS, edges), edges, 0.04)
    true = np.resize(transposed(np.eye(NO_CHORD)[SONG], shift).argmax(1), len(BEATS))
    assert (chord_at(found, BEATS.onset + 0.2) == true).mean() > 0.95


@pytest.mark.parametrize("shift", [0, 5])
def test_a_hole_is_guessed_by_what_is_around_it(shift):
    """Two beats in the midst of a chord of four."""
    edges, held = edges_of(BEATS), np.repeat(SONG[::2], 4)
    played, hole = blocks(held).transpose(shift), (10.5, 11.5)
    known = played.between(0.0, hole[0]) + played.between(hole[1], 32.0) + BEATS
    asked = edges[(edges >= hole[0]) & (edges <= hole[1])]
    found = consensus(default().odds(known, asked, hole), asked, 0.04)
    true = transposed(np.eye(NO_CHORD)[held[[5, 6]]], shift).argmax(1)
    assert (chord_at(found, asked[:-1] + 0.2) == true).all()


def test_what_is_asked_for_is_part_of_what_is_known(drawn):
    """Between any edges, with beats or without, the chords are those of that time."""
    tune, _ = song()
    whole = drawn.odds(tune + BEATS, edges_of(BEATS))
    some = drawn.odds(tune + BEATS, np.array([8.0, 8.5, 9.0]))
    np.testing.assert_allclose(some, whole[16:18], atol=1e-6)
    halves = drawn.odds(tune + BEATS, np.array([8.25, 8.5, 8.75]))
    np.testing.assert_allclose(halves, whole[16:18], atol=1e-6)
    free = drawn.odds(tune, np.arange(8.0, 12.1, 0.5))
    assert free.shape == (8, NO_CHORD) and np.allclose(free.sum(1), 1.0)
    beyond = drawn.odds(tune + BEATS, np.array([-2.0, -1.0, 31.0, 40.0, 41.0]))
    assert beyond.shape == (4, NO_CHORD) and np.allclose(beyond.sum(1), 1.0)
    assert drawn.odds(Notes.of([]), np.array([0.0, 0.5, 1.0])).shape == (2, NO_CHORD)


def test_hours_are_heard_in_parts(drawn, monkeypatch):
    """An hour takes as long as sixty minutes do: no attention over all of it."""
    lengths, real = [], Chordist.forward
    monkeypatch.setattr(Chordist, "forward", lambda self, *told: lengths.append(told[0].shape[1]) or real(self, *told))
    beats = TempoMap.constant(120.0).beats(1800.0)
    odds = drawn.odds(blocks(SONG, beats) + beats, edges_of(beats))
    assert len(odds) == len(beats) and max(lengths) == 4 * REACH and sum(lengths) <= 2 * len(beats) + 2 * REACH


def test_it_comes_from_a_file(drawn, tmp_path):
    drawn.save(tmp_path / FILE)
    loaded = Chordist.load(tmp_path / FILE)
    edges, (tune, _) = edges_of(BEATS), song()
    np.testing.assert_allclose(loaded.odds(tune + BEATS, edges), drawn.odds(tune + BEATS, edges), atol=0.05)
    assert [path.name for path in tmp_path.iterdir()] == [FILE]
    assert (tmp_path / FILE).stat().st_mode & 0o044 == 0o044  # others may read it


@pytest.mark.parametrize("change", ["bytes", "shape", "names", "gone", "not a number"])
def test_a_broken_file_is_one_line(drawn, tmp_path, change):
    parts = drawn.state_dict()
    if change == "shape":
        parts["say.weight"] = parts["say.weight"][:, :5].clone()
    if change == "names":
        del parts["norm.scale"]
    if change == "not a number":
        parts["norm.scale"] = parts["norm.scale"] * np.nan
    if change != "gone":
        save_file(parts, tmp_path / FILE)
    if change == "bytes":
        (tmp_path / FILE).write_bytes(b"\x80\x04pickle")
    with pytest.raises(CheckpointError, match="^[^\n]*chordist.safetensors[^\n]*$"):
        Chordist.load(tmp_path / FILE)


def shards_of(folder, *pieces: Notes, source: str = "pop909") -> Shards:
    write_shards(folder / "part", [(source, f"{i}.mid", "", piece) for i, piece in enumerate(pieces)], Counter(), {})
    join([folder / "part"], folder / "shards", lambda *piece: "train")
    return Shards(folder / "shards")


def test_training_learns_and_a_seed_is_a_seed(tmp_path, monkeypatch, capsys):
    tune, chart = song()
    shards_of(tmp_path, tune + blocks(SONG, octave=3) + chart)
    weights = []
    for name in ("one", "two"):
        out = tmp_path / f"{name}.safetensors"
        monkeypatch.setattr("sys.argv", ["chordist", str(tmp_path / "shards"), "-o", str(out), "--steps", "20"])
        script.main()
        weights.append(out.read_bytes())
        Chordist.load(out)
    assert weights[0] == weights[1]
    losses = [float(line.split()[-1]) for line in capsys.readouterr().out.splitlines() if " loss " in line]
    assert losses[0] < 0.7 * np.log(NO_CHORD)


@pytest.mark.parametrize("hidden", script.HIDDEN)
@pytest.mark.parametrize("kind", script.SHOWN)
def test_no_hidden_note_is_told(kind, hidden):
    """Of a hole there is nothing but its beats."""
    tune, chart = song()
    rng = np.random.default_rng(0)
    for _ in range(20):
        edges, classes, beats, chords = script.excerpt(tune + blocks(SONG, octave=3) + chart, kind, hidden, rng)
        known = beats[:, 7] > 0
        assert len(edges) - 1 == len(classes) == len(beats) == len(chords) >= 4 and known.any()
        assert not classes[~known][:, :, 4:].any() and known.all() <= (hidden == "nothing")
        assert kind == "random" or known.all() == (hidden == "nothing")
        assert kind == "random" or hidden != "rest" or (np.diff(known.astype(int)) <= 0).all()


def test_shards_without_songs_are_told_in_one_line(tmp_path, monkeypatch, capsys):
    shards_of(tmp_path, Notes.of([(0, 1, 60, 0, 64)]), source="folk")
    monkeypatch.setattr("sys.argv", ["chordist", str(tmp_path / "shards"), "-o", str(tmp_path / FILE)])
    with pytest.raises(SystemExit, match="2"):
        _script.run(script.main)
    err = capsys.readouterr().err
    assert "has no training pieces of the sources of the mix" in err and err.count("\n") == 1
    assert not (tmp_path / FILE).exists()
