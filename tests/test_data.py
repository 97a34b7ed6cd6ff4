"""Laws of shards: what is in the folder is in the shards, once, whoever reads it, however often it is made."""

import json
import os
import shutil
import subprocess
import sys
import tarfile
import zipfile
from pathlib import Path

import numpy as np
import prepare
import pytest

from anticipation.data import shards as data
from anticipation.data.corpus import load_piece, members, read_fast
from anticipation.data.shards import Shards
from anticipation.errors import AnticipationError, MidiError
from anticipation.music.notes import BEAT, CHORD, Notes
from anticipation.score import midi

pytest.importorskip("symusic")


def make(folder, out, **options) -> Shards:
    prepare.prepare([folder], out, **options)
    return Shards(out)


def same(one: Path, other: Path) -> bool:
    """Whether two folders have the same files, byte for byte."""
    files = sorted(path.name for path in one.iterdir())
    assert files == sorted(path.name for path in other.iterdir())
    return all((one / name).read_bytes() == (other / name).read_bytes() for name in files)


def test_both_readers_say_the_same_of_real_files(corpus_files):
    """All but notes of no length: a musician's file gives them a tick, a shard nothing."""
    for path in corpus_files:
        score, (notes, tempo) = midi.read(path), read_fast(path.read_bytes())
        assert tempo == score.tempo, path
        for column in ("onset", "pitch", "instrument"):
            np.testing.assert_allclose(
                getattr(notes, column), getattr(score.notes, column), atol=1e-9, err_msg=str(path)
            )
        tick = score.tempo.seconds(score.tempo.ticks(score.notes.onset) + 1) - score.notes.onset
        order = np.lexsort((notes.velocity, notes.duration, notes.pitch, notes.instrument, notes.onset))
        ours = np.lexsort(
            (score.notes.velocity, score.notes.duration, score.notes.pitch, score.notes.instrument, score.notes.onset)
        )
        np.testing.assert_allclose(
            np.maximum(notes.duration[order], tick[ours]), score.notes.duration[ours], atol=1e-9, err_msg=str(path)
        )


def test_shards_hold_the_notes_of_the_files(shards, music_folder):
    rows = sum(piece.count for piece in shards.pieces)
    assert len(shards.pieces) == 15 and rows == (shards.folder / "pitch.bin").stat().st_size
    for piece in shards.pieces:
        file, notes = midi.read(music_folder / piece.source / piece.name).notes, shards.notes(piece)
        assert piece.notes == len(file) and piece.seconds == pytest.approx(file.end, abs=0.01)
        np.testing.assert_allclose(notes.audible.onset, file.onset, atol=1e-4)
        for column in ("pitch", "instrument", "velocity"):
            assert np.array_equal(getattr(notes.audible, column), getattr(file, column))
        assert (notes.instrument == BEAT).any() and (notes.instrument == CHORD).any()


@pytest.mark.parametrize("options", [{}, {"workers": 1}, {"workers": 2}], ids=str)
def test_the_same_folder_makes_the_same_shards(shards, music_folder, tmp_path, monkeypatch, options):
    """However many processes read it, in however large blocks."""
    monkeypatch.setattr(prepare, "BLOCK", 4)
    assert same(shards.folder, make(music_folder, tmp_path / "again", **options).folder)


def test_shares_of_a_corpus_are_merged_to_the_whole(shards, music_folder, tmp_path, monkeypatch):
    """The manifest is all that a merge needs; a share alone is nothing to train on."""
    monkeypatch.setattr(prepare, "BLOCK", 3)
    shares = [tmp_path / str(i) for i in (1, 2, 3)]
    for i, share in enumerate(shares, 1):
        assert not make(music_folder, share, share=(i, 3)).split("train")
    data.join(shares[::-1], tmp_path / "merged", prepare.split_of, prepare.family_of)
    assert same(shards.folder, tmp_path / "merged")
    data.join([tmp_path / "merged"], tmp_path / "twice", prepare.split_of, prepare.family_of)
    again = Shards(tmp_path / "twice")
    assert again.pieces == shards.pieces and again.outcome == shards.outcome


def test_a_stopped_run_goes_on_where_it_was(shards, music_folder, tmp_path, monkeypatch):
    """Blocks that were read are not read again, unless a file in them is another one now."""
    monkeypatch.setattr(prepare, "BLOCK", 4)
    folder, out = tmp_path / "music", tmp_path / "shards"
    shutil.copytree(music_folder, folder)
    real, read = prepare.load, []

    def load(member, annotations):
        read.append((member.source, member.name))
        if len(read) == 11:
            raise KeyboardInterrupt
        return real(member, annotations)

    monkeypatch.setattr(prepare, "load", load)
    with pytest.raises(KeyboardInterrupt):
        make(folder, out)
    assert not (out / "manifest.json").exists()
    before = list(read)
    assert same(shards.folder, make(folder, out).folder)
    assert len(read) - len(before) < 20 - 7 and not set(read[len(before) :]) & set(before[:7])


def pack(folder: Path, archive: Path) -> None:
    if archive.suffix == ".zip":
        with zipfile.ZipFile(archive, "w", zipfile.ZIP_DEFLATED) as file:
            for path in sorted(folder.rglob("*")):
                file.write(path, f"music/{path.relative_to(folder)}")
    else:
        with tarfile.open(archive, "w:" + {".tar": "", ".gz": "gz", ".tgz": "gz", ".xz": "xz"}[archive.suffix]) as file:
            file.add(folder, "music")


@pytest.mark.parametrize("name", ["music.tar", "music.tar.gz", "music.tgz", "music.tar.xz", "music.zip"])
def test_an_archive_is_a_folder(shards, music_folder, tmp_path, name):
    pack(music_folder, tmp_path / name)
    assert same(shards.folder, make(tmp_path / name, tmp_path / "shards").folder)
    assert not list(tmp_path.rglob("*.mid")), "nothing is unpacked to disk"


def test_archives_within_folders(music_folder, tmp_path):
    (tmp_path / "corpus" / "deep").mkdir(parents=True)
    pack(music_folder, tmp_path / "corpus" / "deep" / "music.zip")
    pack(music_folder, tmp_path / "corpus" / "music.tgz")
    found = list(members(tmp_path / "corpus"))
    assert {m.source for m in found} == {"deep", "music"} and len(found) == 38, (
        "licences of parts of a source are left out"
    )
    assert {m.source for m in members(tmp_path / "corpus", "all")} == {"all"}


@pytest.mark.skipif(sys.platform != "linux", reason="elsewhere a name has to be text")
def test_files_are_read_whatever_bytes_they_are_named_by(music_folder, tmp_path):
    """Old collections have names in Latin-1: they are told in a line of text, and nothing falls."""
    folder = tmp_path / "music" / "old"
    folder.mkdir(parents=True)
    shutil.copy(music_folder / "band" / "000__000.mid", os.fsencode(folder) + b"/caf\xe9\n1.mid")
    pack(tmp_path / "music", tmp_path / "music.tar")
    for root in ("music", "music.tar"):
        shards = make(tmp_path / root, tmp_path / f"shards of {root}", workers=1)
        assert [piece.name for piece in shards.pieces] == ["caf\\udce9\\x0a1.mid"]


def test_what_cannot_be_looked_into_is_counted(music_folder, tmp_path):
    """An archive within one, and a link to nothing."""
    shutil.copytree(music_folder, tmp_path / "music")
    pack(music_folder / "band", tmp_path / "music" / "inner.zip")
    (tmp_path / "music" / "band" / "link.mid").symlink_to("/nowhere/at/all.mid")
    pack(tmp_path / "music", tmp_path / "music.tar.gz")
    outcome = make(tmp_path / "music.tar.gz", tmp_path / "one").outcome
    assert outcome["an archive within an archive"] == 1 and outcome["kept"] == 15
    outcome = make(tmp_path / "music", tmp_path / "two").outcome
    assert outcome["unreadable (No such file or directory)"] == 1 and outcome["kept"] == 15


def test_a_folder_without_the_right_to_read_is_counted(music_folder, tmp_path, monkeypatch):
    real = os.scandir

    def scandir(path):
        if path == str(music_folder / "band"):
            raise PermissionError(13, "Permission denied", path)
        return real(path)

    monkeypatch.setattr(os, "scandir", scandir)
    outcome = make(music_folder, tmp_path / "shards").outcome
    assert outcome == {"unreadable folder (Permission denied)": 1, "kept": 12, "exact duplicate": 1}


@pytest.mark.parametrize("name", ["music.tar", "music.tar.gz", "music.tar.xz", "music.zip"])
def test_a_damaged_archive_gives_what_it_has(music_folder, tmp_path, name):
    """Counted, with the reason; never fatal."""
    pack(music_folder, tmp_path / name)
    (tmp_path / name).write_bytes((tmp_path / name).read_bytes()[: (tmp_path / name).stat().st_size * 3 // 5])
    shutil.copytree(music_folder, tmp_path / "corpus")
    shutil.move(tmp_path / name, tmp_path / "corpus" / name)
    shards = make(tmp_path / "corpus", tmp_path / "shards")
    assert any("damaged" in reason for reason in shards.outcome), shards.outcome
    assert {"band", "pop909"} <= {piece.source for piece in shards.pieces}


def test_a_damaged_member_of_an_archive_is_one_file_less(music_folder, tmp_path):
    pack(music_folder, tmp_path / "music.zip")
    with zipfile.ZipFile(tmp_path / "music.zip") as file:
        entry = next(e for e in file.infolist() if e.filename.endswith("band/000__000.mid"))
    raw = bytearray((tmp_path / "music.zip").read_bytes())
    raw[entry.header_offset + 90 : entry.header_offset + 120] = bytes(30)
    (tmp_path / "music.zip").write_bytes(raw)
    outcome = make(tmp_path / "music.zip", tmp_path / "shards").outcome
    assert outcome["kept"] == 14 and any(reason.startswith("damaged in its archive") for reason in outcome)


def test_bad_files_and_duplicates_are_counted_not_fatal(shards):
    outcome = shards.outcome
    assert outcome.pop("kept") == 15 and outcome.pop("exact duplicate") == 1 and outcome.pop("fewer than 16 notes") == 1
    assert sum(outcome.values()) == 2 and outcome == {"broken MIDI": 1, "no MIDI": 1}
    assert shards.licences == {"band": "CC0: made by a test"} and not shards.synthetic


def die(member, annotations):
    if member.name == "001__001.mid" and not member.reason:
        import os

        os._exit(11)  # as a fault in a C++ parser would
    return REAL(member, annotations)


REAL = prepare.load


@pytest.mark.skipif(sys.platform != "linux", reason="the patch reaches forked processes only")
@pytest.mark.filterwarnings("ignore::DeprecationWarning")
def test_a_file_that_kills_its_reader_is_left_out(music_folder, tmp_path, monkeypatch):
    import multiprocessing

    monkeypatch.setattr(prepare, "load", die)
    monkeypatch.setattr(prepare, "BLOCK", 5)
    context = multiprocessing.get_context("fork")
    pool = prepare.ProcessPoolExecutor
    monkeypatch.setattr(prepare, "ProcessPoolExecutor", lambda workers: pool(workers, mp_context=context))
    outcome = make(music_folder, tmp_path / "shards", workers=2).outcome
    assert outcome["crashes the reader"] == 2 and outcome["kept"] == 14  # of both sources; zzz.mid is no copy now


def test_development_songs_are_never_trained_on(shards):
    assert [piece.name for piece in shards.split("dev")] == ["005__005.mid"]
    assert {piece.split for piece in shards.pieces} <= {"train", "valid", "dev"}
    assert prepare.split_of("pop909-versions", "125__versions__125-v1.mid", "0" * 64) == "dev"
    assert prepare.split_of("pop909", "126__126.mid", "0" * 64) == "train"
    splits = [prepare.split_of("folk", "005__x.mid", f"{i:08x}") for i in range(10_000)]
    assert splits.count("valid") == 200 and splits.count("train") == 9800
    assert [prepare.split_of("freedoom", "d.mid", f"{i:08x}") for i in range(10_000)].count("valid") == 1474


MANIFEST = [('"source": "band"', '"source": null'), ('"start": 0,', '"start": "0",'), ('"kept": 15', '"kept": "x"'),
            ('"licences": {', '"licences": 7, "other": {')]  # fmt: skip


def edited(path: Path, old: str, new: str) -> None:
    assert old in path.read_text()
    path.write_text(path.read_text().replace(old, new))


@pytest.mark.parametrize(
    "spoil",
    [
        shutil.rmtree,
        lambda folder: (folder / "manifest.json").unlink(),
        lambda folder: (folder / "manifest.json").write_text("{"),
        lambda folder: (folder / "manifest.json").write_text("[]"),
        lambda folder: (folder / "manifest.json").write_text('{"pieces": [{"name": "x"}]}'),
        *(lambda folder, a=a, b=b: edited(folder / "manifest.json", a, b) for a, b in MANIFEST),
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


def test_what_cannot_be_prepared_is_said_in_one_line(tmp_path):
    (tmp_path / "empty").mkdir()
    (tmp_path / "text.txt").write_text("no archive")
    for folder, words in (("empty", "no MIDI files"), ("none", "neither a folder nor"), ("text.txt", "neither")):
        with pytest.raises(AnticipationError, match=f"^[^\n]*{words}[^\n]*$"):
            make(tmp_path / folder, tmp_path / "shards")
    with pytest.raises(AnticipationError, match="no folder of annotations"):
        make(tmp_path / "empty", tmp_path / "shards", annotations=tmp_path / "none")
    for out in ("shards", "text.txt"):
        line = [sys.executable, prepare.__file__, str(tmp_path / "empty"), str(tmp_path / out), "--workers", "0"]
        run = subprocess.run(line, capture_output=True, text=True)
        assert run.returncode == 2 and run.stderr.count("\n") == 1 and run.stderr.startswith("prepare: ")


@pytest.fixture
def fill_disk(monkeypatch):
    """fill_disk(buffering): the disk is full when more than so many bytes of a column have come, or at its end."""
    if not Path("/dev/full").exists():
        pytest.skip("needs a device that is always full")
    real = Path.open

    def fill(buffering: int) -> None:
        def full(self, mode="r", *rest, **more):
            is_column = self.name == "onset.bin" and mode == "wb"
            return open("/dev/full", mode, buffering) if is_column else real(self, mode, *rest, **more)

        monkeypatch.setattr(Path, "open", full)

    return fill


def test_a_full_disk_leaves_the_old_shards_whole(shards, tmp_path, fill_disk):
    folder = tmp_path / "shards"
    shutil.copytree(shards.folder, folder)
    fill_disk(0)
    with pytest.raises(OSError, match="No space left"):
        data.join([shards.folder], folder, prepare.split_of)
    assert same(shards.folder, folder)


def test_a_disk_that_is_full_at_the_end_is_not_left_full(shards, tmp_path, fill_disk):
    """What is small is written when a file is closed."""
    fill_disk(1 << 26)
    with pytest.raises(OSError, match="No space left"):
        data.join([shards.folder], tmp_path / "out", prepare.split_of)
    assert not list((tmp_path / "out").iterdir())


def test_shares_are_merged_alike_where_names_are_not_unique(music_folder, tmp_path, monkeypatch):
    """Of archives of one source, each with a 001__001.mid of its own."""
    monkeypatch.setattr(prepare, "BLOCK", 3)
    pack(music_folder / "pop909", tmp_path / "a.zip")
    (tmp_path / "other").mkdir()
    for path in sorted((music_folder / "pop909").glob("0*.mid")):
        notes = midi.read(path).notes
        midi.write(midi.Score.from_notes(notes.transpose(1)[:-3]), tmp_path / "other" / path.name)
    pack(tmp_path / "other", tmp_path / "b.zip")
    roots, shares = [tmp_path / "a.zip", tmp_path / "b.zip"], [tmp_path / "1", tmp_path / "2"]
    prepare.prepare(roots, tmp_path / "whole", source="x")
    for i, share in enumerate(shares, 1):
        prepare.prepare(roots, share, source="x", share=(i, 2))
    for order in (shares, shares[::-1]):
        data.join(order, tmp_path / "merged", prepare.split_of, prepare.family_of)
        assert same(tmp_path / "whole", tmp_path / "merged")


def test_a_merge_with_nowhere_to_go_takes_no_shards(shards, tmp_path):
    """--merge A B would write A over B."""
    for name in "ab":
        shutil.copytree(shards.folder, tmp_path / name)
    line = [sys.executable, prepare.__file__, "--merge", str(tmp_path / "a"), str(tmp_path / "b")]
    run = subprocess.run(line, capture_output=True, text=True)
    assert run.returncode == 2 and run.stderr.count("\n") == 1 and "would be lost" in run.stderr


def test_the_best_text_on_the_licence_is_kept(music_folder, tmp_path):
    shutil.copytree(music_folder / "band", tmp_path / "music" / "band")
    (tmp_path / "music" / "band" / "LICENSE").write_text("the long text of a licence")
    assert make(tmp_path / "music", tmp_path / "shards").licences == {"band": "CC0: made by a test"}


def test_flat_velocities_are_unknown(music_folder, tmp_path):
    score = midi.read(music_folder / "band" / "000__000.mid")
    flat = midi.Score.from_notes(score.notes.replace(velocity=score.notes.velocity * 0 + 64))
    midi.write(flat, tmp_path / "flat.mid")
    assert not load_piece(tmp_path / "flat.mid").audible.velocity.any()
    with pytest.raises(MidiError):
        load_piece(tmp_path / "none.mid")


def test_a_monstrous_tempo_fills_no_memory(music_folder, tmp_path):
    """A microsecond a beat would be millions of beats."""
    raw = midi.Score.from_notes(midi.read(music_folder / "band" / "000__000.mid").notes).data
    at = raw.index(b"\xff\x51\x03") + 3
    late = raw.rindex(b"\x00\xff\x2f\x00")  # a note 134 million ticks later
    note = b"\xbf\xff\xff\x7f\x90\x40\x40\x60\x80\x40\x00"
    size = int.from_bytes(raw[raw.rindex(b"MTrk") + 4 :][:4], "big") + len(note)
    fast = bytearray(raw[:late] + note + raw[late:])
    fast[at : at + 3] = bytes([0, 0, 1])
    fast[raw.rindex(b"MTrk") + 4 : raw.rindex(b"MTrk") + 8] = size.to_bytes(4, "big")
    _, tempo = read_fast(bytes(fast))
    assert not tempo.sane(3600.0) and tempo.constant(300).sane(3600.0)
    assert (load_piece(bytes(fast)).instrument != BEAT).all()


def test_annotations_are_read_where_they_fit(music_folder, tmp_path):
    """POP909's: beats with their downbeats, and chord labels."""
    path = music_folder / "pop909" / "001__001.mid"
    (tmp_path / "beat_midi.txt").write_text(
        "".join(f"{0.5 * i} {float(i % 2 == 0)} {float(i % 4 == 0)}\n" for i in range(64))
    )
    (tmp_path / "chord_midi.txt").write_text("0.0 4.0 C:maj\n4.0 8.0 A:min/3\n8.0 32.0 N\n")
    notes = load_piece(path, tmp_path)
    assert notes.chords.pitch.tolist() == [0, 21, 120]
    assert notes.beats.pitch.tolist() == [0, 1, 2, 3] * 16
    late = "".join(f"{0.5 * i + 0.2} {float(i % 2 == 0)} {float(i % 4 == 0)}\n" for i in range(64))
    (tmp_path / "beat_midi.txt").write_text(late)  # of another performance
    assert load_piece(path, tmp_path) == load_piece(path, None)
    assert len(data.COLUMNS) == len(Notes.__dataclass_fields__)


def test_info_counts_the_pieces_of_shards(shards, anticipate):
    code, out, _ = anticipate("info", shards.folder, "--json")
    facts = json.loads(out)
    assert code == 0 and facts["pieces"] == len(shards.pieces)


@pytest.mark.parametrize("harm", [lambda path: os.truncate(path, 10), Path.unlink], ids=["cut", "gone"])
def test_a_column_that_goes_while_it_is_read_is_told(shards, tmp_path, harm):
    """And kills nobody, as a map of it would."""
    ours = Shards(shutil.copytree(shards.folder, tmp_path / "shards"))
    last = ours.pieces[-1]
    assert ours.notes(last) == shards.notes(last)
    harm(tmp_path / "shards" / "pitch.bin")
    with pytest.raises(AnticipationError, match=r"pitch\.bin vanished or was cut"):
        ours.notes(last)
