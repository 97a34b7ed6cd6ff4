"""The census of shards, by hand on a piece that one can count, and as a whole on a folder."""

import pytest
import stats

from anticipation.data.census import Census, census, licence_of, shards_facts
from anticipation.data.shards import Piece
from anticipation.errors import AnticipationError
from anticipation.music.notes import BEAT, DRUMS, Notes


def test_one_piece_by_hand():
    """Three notes at once, one alone, a kick in between; a beat of half a second is 120 bpm."""
    rows = [(0.0, 1.0, 60, 0, 80), (0.0, 1.0, 64, 0, 80), (0.0, 0.25, 67, 40, 0), (2.0, 1.0, 60, 0, 100)]
    rows += [(0.5, 0.1, 36, DRUMS, 90), *((0.5 * i, 0.5, i % 4, BEAT, 64) for i in range(6))]
    one = Census()
    one.add(Piece("a", "b.mid", "train", 0, 11, 5, 3.0, "", alike=2), Notes.of(rows))
    assert one.histograms["polyphony"][[1, 3]].tolist() == [1, 2] and one.histograms["polyphony"].sum() == 3
    assert one.histograms["velocity"][[0, 80, 90, 100]].tolist() == [1, 2, 1, 1]
    assert one.histograms["pitch"][[36, 60, 64, 67]].tolist() == [0, 2, 1, 1]
    assert one.histograms["tempo"][24] == 1 and one.histograms["parts"][3] == 1
    row = (one + one).row()
    assert row["pieces"] == 2 and row["weight"] == 1 and row["notes"] == 10 and row["with drums %"] == 100
    assert row["bpm"] == 120 and row["velocity"] == 88 and row["known %"] == 80 and row["polyphony"] == 2.3


def test_notes_that_touch_do_not_sound_together():
    """As they stand in a shard, in single precision, minutes into a piece."""
    times = [240 + i / 3 for i in range(300)]
    stored = Notes.of((onset, 1 / 3, 60, 0, 80) for onset in times)
    stored = stored.replace(onset=stored.onset.astype("f4"), duration=stored.duration.astype("f4"))
    one = Census()
    one.add(Piece("a", "b.mid", "train", 0, 300, 300, 340.0, ""), stored)
    assert one.histograms["polyphony"][1] == 300


def test_a_census_counts_every_piece_of_its_sources(shards):
    sources = census(shards)
    assert list(sources) == ["band", "pop909"] and sources["band"].drums == 3 and sources["pop909"].drums == 0
    assert sum(one.notes for one in sources.values()) == sum(piece.notes for piece in shards.pieces)
    facts = shards_facts(shards.folder)
    assert facts["pieces"] == 15 and facts["left out"]["exact duplicate"] == 1 and "CC0" in facts["by source"][0]
    with pytest.raises(AnticipationError):
        shards_facts(shards.folder.parent)


def test_a_page_stands_alone(shards, tmp_path, monkeypatch, capsys):
    monkeypatch.setattr("sys.argv", ["stats", str(shards.folder), "-o", str(tmp_path / "page.html")])
    stats.main()
    page = (tmp_path / "page.html").read_text(encoding="utf-8")
    assert capsys.readouterr().out.count("\n") == 5 and page.count("<svg") == 7
    assert "http" not in page.replace("http://www.w3.org/2000/svg", "")


def test_licences_have_names():
    assert licence_of("SOURCE: x\nLICENCE: CC BY 4.0\nmore") == "CC BY 4.0"
    assert licence_of("MIT License\n\nCopyright") == "MIT License" and licence_of("") == "unknown"
