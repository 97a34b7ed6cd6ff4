"""Laws of the memory: a copy is found in any key and at any tempo, what is none is not, and the file says so."""

import json
import shutil
import subprocess
import sys
import zipfile
from collections import Counter, defaultdict
from types import SimpleNamespace

import _script
import memorise
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from anticipation.data import check, memory
from anticipation.data.fingerprint import SPAN, WINDOW, Line, lines, winnowed
from anticipation.data.memory import Memory
from anticipation.data.shards import Piece
from anticipation.data.shards import write as write_shards
from anticipation.errors import CheckpointError
from anticipation.model import checkpoint
from anticipation.music.notes import DRUMS, Notes
from anticipation.score import midi
from anticipation.score.midi import Score, write


def tune(seed: int, count: int = 200, instrument: int = 0) -> Notes:
    """A line that nobody else would write."""
    rng = np.random.default_rng(seed)
    onset = np.cumsum(rng.choice([0.125, 0.25, 0.25, 0.5, 0.75, 1.0], count))
    pitch = np.clip(66 + np.cumsum(rng.choice([-5, -2, -1, 1, 2, 4], count)) % 24, 0, 127)
    return Notes(onset, np.full(count, 0.2), pitch, np.full(count, instrument), np.full(count, 80))


PIECES = {f"folk/{seed}.mid": tune(seed) for seed in range(30)}


@pytest.fixture(scope="module")
def index() -> Memory:
    return Memory.build(PIECES.items())


def test_a_fingerprint_by_hand():
    """C D E F ... in even eighths: the same shape everywhere. A different last note, another last fingerprint."""
    line = Line(np.arange(11) * 0.5, np.array([60, 62, 64, 65, 67, 69, 71, 72, 74, 76, 77]))
    marks = line.marks()
    assert len(marks) == 11 - SPAN + 1 and len(set(marks.tolist())) == 3
    assert np.array_equal(Line(line.onset * 0.8 + 3, line.pitch - 7).marks(), marks)
    assert np.array_equal(Line(line.onset + np.arange(11) % 2 * 0.04, line.pitch).marks(), marks), "played, not typed"
    assert (Line(line.onset, np.append(line.pitch[:-1], 79)).marks() == marks).tolist() == [True, True, False]
    dotted = line.onset + np.arange(11) % 2 * 0.2
    assert np.array_equal(Line(dotted, line.pitch).marks(), marks), "in another rhythm"


def test_one_step_over_and_over_is_no_fingerprint():
    assert not Line(np.arange(20) * 0.5, np.full(20, 60)).marks().any()
    assert not Line(np.arange(20) * 0.5, np.arange(20) + 60).marks().any()
    assert len(Line(np.arange(SPAN - 1) * 0.5, np.arange(SPAN - 1)).marks()) == 0


def test_a_line_is_the_top_of_what_begins_together():
    notes = Notes.of([(0, 0.5, 60, 0, 64), (0.02, 0.5, 67, 0, 64), (0.5, 1, 64, 0, 64), (0.5, 1, 48, 0, 64)])
    line, lower = Line.of(notes), Line.of(notes, -1)
    assert line.onset.tolist() == [0, 0.5] and line.pitch.tolist() == [67, 64]
    assert lower.onset.tolist() == [0, 0.5] and lower.pitch.tolist() == [60, 48]
    assert len(Line.of(Notes.of([])).onset) == len(Line.of(Notes.of([]), -1).onset) == 0


def test_lines_do_not_know_what_goes_on_under_and_over_them():
    """A melody in halves, overlapping a little, over a bass in quarters, between them broken chords."""
    melody = [(i, 1.05, 72 + i % 5, 0, 64) for i in range(8)]
    bass = [(i / 2, 0.5, 40 + i % 3, 0, 64) for i in range(16)]
    between = [(i / 4 + 0.12, 0.2, 55 + i % 7, 0, 64) for i in range(32)]
    (_, upper), (_, lower) = lines(Notes.of(melody + bass + between))
    assert upper.pitch.tolist() == [row[2] for row in melody] and lower.pitch.tolist() == [row[2] for row in bass]
    assert len(list(lines(Notes.of(bass)))) == 1, "one line is told once"


@given(arrays(np.uint64, st.integers(0, 60), elements=st.integers(0, 9)))
def test_of_every_window_one_is_kept(marks):
    kept = winnowed(marks)
    for start in range(len(marks) - WINDOW + 1):
        window = marks[start : start + WINDOW]
        least = window[window > 0].min(initial=99)
        assert least == 99 or (marks[kept[(kept >= start) & (kept < start + WINDOW)]] == least).any()
    assert (marks[kept] > 0).all()


@pytest.mark.parametrize("semitones", [0, -7, 5])
@pytest.mark.parametrize("factor", [1.0, 0.7, 1.4])
def test_a_copy_is_found_in_any_key_and_at_any_tempo(index, semitones, factor):
    source = PIECES["folk/7.mid"]
    passage = source[60:120].transpose(semitones)
    onset = ((passage.onset - passage.onset[0]) * factor * 100).round() / 100 + 10.0
    passage = passage.replace(onset=onset, duration=passage.duration * factor)
    own = tune(99, 40).replace(onset=np.linspace(0, 9, 40), instrument=np.zeros(40))
    (match,) = index.matches(own + passage)
    assert match.piece == "folk/7.mid" and match.share == 1.0 and match.instrument == 0
    assert 60 - 2 * (WINDOW - 1) <= match.notes <= 60
    first = int(np.argmin(abs(passage.onset - match.start)))  # where it begins is said to a bar
    assert match.there == pytest.approx(source.onset[60 + first], abs=2.5)
    assert passage.onset[0] <= match.start < match.end <= passage.onset[-1]


def test_a_changed_copy_agrees_less(index):
    passage = PIECES["folk/3.mid"][20:140]
    pitch = passage.pitch.copy()
    pitch[[30, 60, 90]] += 1
    match = index.matches(passage.replace(pitch=pitch))[0]
    assert match.piece == "folk/3.mid" and match.notes > 80 and 0.5 < match.share < 1


def two_voices(seed: int) -> Notes:
    """A melody over a bass of longer notes, each held until the next."""
    bass = tune(seed + 1000, 100).transpose(-30)
    bass = bass.replace(onset=bass.onset * 2, duration=np.diff(bass.onset * 2, append=bass.onset[-1] * 2 + 1))
    return tune(seed).replace(duration=np.full(200, 0.1)) + bass


def test_a_copy_with_a_new_melody_or_rhythm_is_found_by_what_is_left():
    """A note of the melody changed in every bar; ornaments in between; every other onset late."""
    rng = np.random.default_rng(0)
    index = Memory.build([(f"duo/{seed}", two_voices(seed)) for seed in range(20)])
    piece = two_voices(7)
    melody, bass = piece[piece.pitch >= 63], piece[piece.pitch < 63]
    other = melody.replace(pitch=melody.pitch + np.where(np.arange(len(melody)) % 5 == 0, rng.choice([-1, 1, 2]), 0))
    ornaments = melody[::4].replace(onset=melody.onset[::4] + 0.06, pitch=melody.pitch[::4] + 2)
    late = melody.replace(onset=melody.onset + np.arange(len(melody)) % 2 * 0.1)
    for notes in (other + bass, melody + ornaments + bass, late + bass, bass):
        match = index.matches(notes)[0]
        assert match.piece == "duo/7" and match.distinct > 60


def test_what_is_no_copy_is_not_found(index):
    assert not [match for seed in range(100, 200) for match in index.matches(tune(seed))]


def test_drums_chords_and_beats_are_no_tune(index):
    drums = PIECES["folk/3.mid"].replace(instrument=np.full(200, DRUMS))
    assert index.matches(drums) == [] and len(Memory.build([("x", drums)])) == 0


def test_what_many_pieces_have_is_an_idiom():
    phrase = tune(5, 40)
    few, many = ([(f"a/{i}", phrase) for i in range(n)] for n in (memory.COMMON, memory.COMMON + 1))
    assert Memory.build(few).matches(phrase)[0].piece == "a/0" and not Memory.build(many).matches(phrase)


def test_a_copy_that_goes_through_a_repeat_is_one_match():
    theme = tune(5, 60)
    twice = theme + theme.shift(theme.onset[-1] + 0.25)
    (match,) = Memory.build([("a/b", twice)]).matches(twice)
    assert match.notes > 100


def test_a_figure_played_on_and_on_is_a_short_match():
    """Twenty times two bars of a piece are no copy of forty bars; fifty notes of another piece are more."""
    bars = np.array([60, 67, 64, 72, 67, 60, 65, 62, 69, 65, 71, 59])
    onset = np.cumsum(np.tile(np.where(np.arange(12) % 4 == 3, 0.5, 0.25), 20))
    ostinato = Notes(onset, np.full(240, 0.2), np.tile(bars, 20), np.zeros(240, int), np.full(240, 80))
    index = Memory.build([("a/b", tune(1) + ostinato[:26].shift(300.0)), ("c/d", tune(2))])
    (match,) = index.matches(ostinato)
    assert match.notes > 200 and match.distinct <= 26
    both = index.matches(ostinato + tune(2)[60:110].shift(500.0))
    assert [m.piece for m in both] == ["c/d", "a/b"] and both[0].distinct == both[0].notes


def test_real_pieces_are_found_as_themselves_and_matches_are_real(corpus_files):
    """Every other file is indexed. A passage of those is found, in its own file or one that shares it; and where
    another file's passage is said to agree to the note, the piece has those intervals in that order."""
    pieces = {path.name: midi.read(path).notes for path in corpus_files}
    known = dict(list(pieces.items())[::2])
    index = Memory.build(known.items())
    long = {name: notes for name, notes in known.items() if any(len(line.onset) >= 64 for _, line in lines(notes))}
    found = [name for name, notes in long.items() if index.matches(notes)]
    assert len(found) >= 0.9 * len(long)
    for name in found:
        assert index.matches(known[name])[0].share > 0.7, "a varied repeat agrees less"
    for notes in list(pieces.values())[1::2]:
        by_instrument = defaultdict(list)
        for instrument, line in lines(notes):
            by_instrument[instrument].append(line)
        for match in index.matches(notes):
            if match.kept == match.hits == 2:
                line = by_instrument[match.instrument]
                shapes = [
                    np.diff(line.pitch[first : first + SPAN]).tolist()
                    for line in by_instrument[match.instrument]
                    if (first := int(np.searchsorted(line.onset, match.start))) < len(line.onset)
                ]
                there = [np.diff(other.pitch).tolist() for _, other in lines(known[match.piece])]
                assert any(shape == row[i : i + SPAN - 1] for shape in shapes for row in there for i in range(len(row)))


def test_the_same_pieces_make_the_same_bytes_and_come_back(index, tmp_path):
    index.save(tmp_path / "a.npz")
    Memory.build(PIECES.items()).save(tmp_path / "b.npz")
    assert (tmp_path / "a.npz").read_bytes() == (tmp_path / "b.npz").read_bytes()
    again = Memory.load(tmp_path / "a.npz")
    assert len(again) == len(index) and again.matches(PIECES["folk/1.mid"]) == index.matches(PIECES["folk/1.mid"])
    assert sorted(path.name for path in tmp_path.iterdir()) == ["a.npz", "b.npz"]


def test_an_index_with_another_ones_pieces_finds_both(index):
    more = {f"mine/{i}.mid": tune(100 + i) for i in range(3)}
    both = index.with_facts(chance=[(10, 0.05)]).joined(Memory.build(more.items()))
    assert both.facts["pieces"] == len(both.names) == 33 and both.chance(12) == 0.05
    for name, notes in {**more, "folk/7.mid": PIECES["folk/7.mid"], "folk/29.mid": PIECES["folk/29.mid"]}.items():
        copy = notes[40:120].transpose(2)
        assert both.matches(copy)[0].piece == name
        assert [m.piece for m in index.matches(copy)] == ([name] if name in PIECES else [])


def test_how_sure_is_read_off_the_curve(index):
    assert index.chance(50) is None and check.verdict(None) == "not calibrated"
    measured = index.with_facts(chance=[(10, 0.05), (20, 0.01), (40, 0.0005)])
    assert [measured.chance(n) for n in (9, 10, 19, 20, 100)] == [1.0, 0.05, 0.05, 0.01, 0.0005]
    words = [check.verdict(measured.chance(n)) for n in (10, 20, 40)]
    assert words == ["a common phrase", "may be a copy", "a copy"]


def test_planted_copies_are_changed_as_they_say():
    passage, rng = tune(1, 100), np.random.default_rng(0)
    still = memorise.planted(passage, "as it is", rng)
    assert np.array_equal(still.pitch, passage.pitch) and len(memorise.planted(passage, "and 10 % left out", rng)) < 100
    other = memorise.planted(passage, "and 10 % changed", rng)
    assert 0 < (np.diff(other.pitch) != np.diff(passage.pitch)).sum() < 50
    assert memorise.curve(np.array([0, 0, 12]))[:3] == [(10, 0.5), (12, 0.5), (14, 0.25)]


def test_takes_of_one_piece_are_one_opinion(tmp_path):
    """Three takes of a piece that goes like the training set, beside one that does not: half, not three quarters."""
    take, other = PIECES["folk/1.mid"], tune(500)
    index = Memory.build([("folk/1.mid", take)])
    pieces = [Piece("folk", f"{i}", "valid", 0, 200, 200, 90.0, "", group=0 if i < 3 else 3) for i in range(4)]
    shards = SimpleNamespace(split=lambda _: pieces, notes=lambda piece: other if piece.group == 3 else take)
    found = memorise.chances(index, shards, "valid")["folk"]
    assert len(found) == len(list(memorise.passages(take, 60.0))) + len(list(memorise.passages(other, 60.0)))


def test_shards_without_training_pieces_make_no_index(tmp_path, monkeypatch, capsys):
    """An index of nothing would call nothing a copy."""
    write_shards(tmp_path / "share", [("folk", "1.mid", "", tune(1))], Counter(), {})
    monkeypatch.setattr("sys.argv", ["memorise", str(tmp_path / "share"), "-o", str(tmp_path / "memory.npz")])
    with pytest.raises(SystemExit, match="2"):
        _script.run(memorise.main)
    assert "no training pieces" in capsys.readouterr().err and not (tmp_path / "memory.npz").exists()


# ---- the command ---------------------------------------------------------------------------------------------------


@pytest.fixture
def shelf(index, tmp_path):
    """A folder with an index, and a song: a tune of its own, and under it, written by us, one out of the index."""
    index.with_facts(chance=[(10, 0.05), (20, 0.01), (40, 0.0005)]).save(tmp_path / "memory.npz")
    ours = PIECES["folk/7.mid"][60:120].transpose(-5)
    ours = ours.shift(4.0 - ours.onset[0]).replace(instrument=np.full(60, 24))
    score = Score.from_notes(PIECES["folk/2.mid"][:80]).with_notes(ours, stamp="anticipation 0; a test")
    write(score, tmp_path / "song.mid")
    return tmp_path


def test_check_says_what_where_and_how_sure(anticipate, shelf):
    code, stdout, _ = anticipate("check", shelf / "song.mid", "--index", shelf / "memory.npz")
    assert code == 0 and stdout.startswith(f"{shelf / 'song.mid'}: 60 notes of ours against 30 pieces")
    assert "nylon guitar" in stdout and "folk/7.mid" in stdout and "a copy; 0.05 %" in stdout and "folk/2" not in stdout
    code, stdout, _ = anticipate("check", shelf / "song.mid", "--index", shelf / "memory.npz", "--all", "--json")
    facts = json.loads(stdout)
    assert {match["piece"] for match in facts["matches"]} == {"folk/2.mid", "folk/7.mid"} and not facts["ours"]
    longest = facts["longest"]
    assert longest["piece"] == "folk/2.mid" and longest["bars"] == pytest.approx(longest["seconds"] / 2, abs=0.06)
    assert longest["bar"] == 1 + int(longest["start"] / 2) and longest["verdict"] == "a copy"


def test_check_says_that_there_is_nothing(anticipate, shelf, melody):
    code, stdout, _ = anticipate("check", melody, "--index", shelf / "memory.npz")
    assert code == 0 and "no passage goes like any of them" in stdout


def test_check_takes_a_checkpoint_and_says_who_else_wrote(anticipate, shelf, random_checkpoint):
    """The index beside other weights than those that wrote the tracks may not know what these know."""
    home = shelf / "home"
    shutil.copytree(random_checkpoint, home)
    shutil.move(shelf / "memory.npz", home / "memory.npz")
    tune = PIECES["folk/2.mid"][:80]
    for writer, told in ((checkpoint.fingerprint(home), []), ("0123456789ab", ["0123456789ab"]), ("unsaved", [])):
        stamp = f"anticipation 0; checkpoint {writer}; a test"
        write(Score.from_notes(Notes.of([])).with_notes(tune, stamp=stamp), shelf / "other.mid", force=True)
        facts = json.loads(anticipate("check", shelf / "other.mid", "--index", home, "--json")[1])
        assert facts["others"] == told and facts["longest"]["piece"] == "folk/2.mid"
        said = anticipate("check", shelf / "other.mid", "--index", home)[1]
        assert ("written by checkpoint 0123456789ab, which may know other music" in said) == bool(told)


def rewritten(path, **columns) -> None:
    with np.load(path) as stored:
        table = {name: stored[name] for name in stored.files} | columns
    np.savez(path, **{name: column for name, column in table.items() if column is not None})


@pytest.mark.parametrize(
    "spoil, words",
    [
        (lambda path: path.unlink(), "no index of the training set"),
        (lambda path: path.write_bytes(b""), "no index"),
        (lambda path: path.write_bytes(path.read_bytes()[:-100]), "no index"),
        (lambda path: path.write_bytes(path.read_bytes()[:200] + b"?" * 2000 + path.read_bytes()[2200:]), "no index"),
        (lambda path: zipfile.ZipFile(path, "w").close(), "no index"),
        (lambda path: rewritten(path, mark=None), "no index"),
        (lambda path: rewritten(path, mark=np.zeros((3, 3), "u1")), "do not fit"),
        (lambda path: rewritten(path, piece=np.full(30, 99, "u4")), "do not fit"),
        (lambda path: rewritten(path, facts=np.frombuffer(b"[]", "u1")), "no index"),
        (lambda path: rewritten(path, facts=np.frombuffer(b'{"format": 2, "shape": 7}', "u1")), "another version"),
        (lambda path: rewritten(path, names=np.array([{}], dtype=object)), "no index"),
    ],
)
def test_a_broken_index_is_refused_in_one_line(anticipate, shelf, spoil, words):
    spoil(shelf / "memory.npz")
    code, stdout, stderr = anticipate("check", shelf / "song.mid", "--index", shelf / "memory.npz")
    assert code == 2 and not stdout and stderr.count("\n") == 1 and words in stderr
    with pytest.raises(CheckpointError):
        Memory.load(shelf / "memory.npz")


def test_checking_a_file_loads_no_torch(shelf):
    line = f"['check', {str(shelf / 'song.mid')!r}, '--index', {str(shelf / 'memory.npz')!r}]"
    code = f"import sys, anticipation.cli as c; c.main({line}); assert 'torch' not in sys.modules"
    subprocess.run([sys.executable, "-c", code], check=True, capture_output=True, timeout=60)


def test_a_file_without_notes_is_refused(anticipate, shelf):
    (shelf / "empty.mid").write_bytes(Score.from_notes(Notes.of([])).data)
    code, _, stderr = anticipate("check", shelf / "empty.mid", "--index", shelf / "memory.npz")
    assert code == 2 and "no notes to check" in stderr
