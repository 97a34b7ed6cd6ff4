"""Laws of shards: what is in the folder is in the shards, once, whoever reads it, however often it is made."""

import shutil

import numpy as np
import prepare
import pytest

from anticipation import data, midi
from anticipation.data import Shards, load_piece, read_fast, tune_hash, write_shards
from anticipation.errors import AnticipationError, MidiError
from anticipation.notes import BEAT, CHORD, Notes

pytest.importorskip("symusic")


def make(folder, out) -> Shards:
    write_shards(folder, out, lambda paths: (prepare.load(path, None) for path in paths), prepare.split_of)
    return Shards(out)


@pytest.fixture(scope="module")
def shards(music_folder, tmp_path_factory) -> Shards:
    return make(music_folder, tmp_path_factory.mktemp("shards"))


def test_both_readers_say_the_same_of_real_files(corpus_files):
    """All but notes of no length: a musician's file gives them a tick, a shard nothing."""
    for path in corpus_files:
        score, (notes, tempo) = midi.read(path), read_fast(path)
        assert tempo == score.tempo, path
        for column in ("onset", "pitch", "instrument"):
            np.testing.assert_allclose(
                getattr(notes, column), getattr(score.notes, column), atol=1e-9, err_msg=str(path)
            )
        tick = score.tempo.seconds(score.tempo.ticks(score.notes.onset) + 1) - score.notes.onset
        same = np.lexsort((notes.velocity, notes.duration, notes.pitch, notes.instrument, notes.onset))
        ours = np.lexsort(
            (score.notes.velocity, score.notes.duration, score.notes.pitch, score.notes.instrument, score.notes.onset)
        )
        np.testing.assert_allclose(
            np.maximum(notes.duration[same], tick[ours]), score.notes.duration[ours], atol=1e-9, err_msg=str(path)
        )


def test_shards_hold_the_notes_of_the_files(shards, music_folder):
    assert len(shards.pieces) == 15 and sum(piece.count for piece in shards.pieces) == len(shards.columns["pitch"])
    for piece in shards.pieces:
        file, notes = midi.read(music_folder / piece.source / piece.name).notes, shards.notes(piece)
        assert piece.notes == len(file) and piece.seconds == pytest.approx(file.end, abs=0.01)
        np.testing.assert_allclose(notes.audible.onset, file.onset, atol=1e-4)
        for column in ("pitch", "instrument", "velocity"):
            assert np.array_equal(getattr(notes.audible, column), getattr(file, column))
        assert (notes.instrument == BEAT).any() and (notes.instrument == CHORD).any()


def test_the_same_folder_makes_the_same_shards(shards, music_folder, tmp_path):
    make(music_folder, tmp_path / "again")
    for file in shards.folder.iterdir():
        assert file.read_bytes() == (tmp_path / "again" / file.name).read_bytes()


def test_bad_files_and_duplicates_are_counted_not_fatal(shards):
    outcome = shards.manifest["outcome"]
    assert outcome.pop("kept") == 15 and outcome.pop("exact duplicate") == 1 and outcome.pop("fewer than 16 notes") == 1
    assert sum(outcome.values()) == 2, "broken.mid and text.MID"
    assert shards.manifest["licences"] == {"band": "CC0: made by a test"}


def test_development_songs_are_never_trained_on(shards):
    assert [piece.name for piece in shards.split("dev")] == ["005__005.mid"]
    assert {piece.split for piece in shards.pieces} <= {"train", "valid", "dev"}
    assert prepare.split_of("pop909-versions", "125__versions__125-v1.mid", "0" * 64) == "dev"
    assert prepare.split_of("pop909", "126__126.mid", "0" * 64) == "train"
    splits = [prepare.split_of("folk", "005__x.mid", f"{i:08x}") for i in range(1000)]
    assert splits.count("valid") == 20 and splits.count("train") == 980


@pytest.mark.parametrize(
    "spoil",
    [
        shutil.rmtree,
        lambda folder: (folder / "manifest.json").unlink(),
        lambda folder: (folder / "manifest.json").write_text("{"),
        lambda folder: (folder / "manifest.json").write_text("[]"),
        lambda folder: (folder / "manifest.json").write_text('{"pieces": [{"name": "x"}]}'),
        lambda folder: (folder / "pitch.bin").unlink(),
        lambda folder: (folder / "pitch.bin").write_bytes(b""),
        lambda folder: (folder / "pitch.bin").write_bytes(b"123"),
        lambda folder: (folder / "onset.bin").write_bytes((folder / "onset.bin").read_bytes()[:-4]),
    ],
)
def test_broken_shards_are_refused_in_one_line(shards, tmp_path, spoil):
    folder = tmp_path / "shards"
    shutil.copytree(shards.folder, folder)
    spoil(folder)
    with pytest.raises(AnticipationError, match="^[^\n]*shards[^\n]*$"):
        Shards(folder)


def test_an_empty_folder_makes_no_shards(tmp_path):
    (tmp_path / "empty").mkdir()
    with pytest.raises(AnticipationError, match="no folder of shards"):
        make(tmp_path / "empty", tmp_path / "shards")


def test_flat_velocities_are_unknown(music_folder, tmp_path):
    score = midi.read(music_folder / "band" / "000__000.mid")
    flat = midi.Score.from_notes(score.notes.replace(velocity=score.notes.velocity * 0 + 64))
    midi.write(flat, tmp_path / "flat.mid")
    assert not load_piece(tmp_path / "flat.mid", None).audible.velocity.any()
    with pytest.raises(MidiError):
        load_piece(tmp_path / "none.mid", None)


def test_annotations_are_read_where_they_fit(music_folder, tmp_path):
    """POP909's: beats with their downbeats, and chord labels."""
    path = music_folder / "pop909" / "001__001.mid"
    (tmp_path / "beat_midi.txt").write_text(
        "".join(f"{0.5 * i} {float(i % 2 == 0)} {float(i % 4 == 0)}\n" for i in range(64))
    )
    (tmp_path / "chord_midi.txt").write_text("0.0 4.0 C:maj\n4.0 8.0 A:min/3\n8.0 32.0 N\n")
    notes = load_piece(path, tmp_path)
    assert notes[notes.instrument == CHORD].pitch.tolist() == [0, 21, 120]
    assert notes[notes.instrument == BEAT].pitch.tolist() == [0, 1, 2, 3] * 16
    late = "".join(f"{0.5 * i + 0.2} {float(i % 2 == 0)} {float(i % 4 == 0)}\n" for i in range(64))
    (tmp_path / "beat_midi.txt").write_text(late)  # of another performance
    assert load_piece(path, tmp_path) == load_piece(path, None)


def test_a_tune_is_known_again(music_folder):
    one, _ = read_fast(music_folder / "band" / "000__000.mid")
    assert tune_hash(one) == tune_hash(one.shift(3.0)) == tune_hash(one.replace(velocity=one.velocity * 0 + 1))
    assert tune_hash(one) != tune_hash(one.transpose(1)) and len(data.COLUMNS) == len(Notes.__dataclass_fields__)
