"""Laws of likeness: transposed and re-timed copies are found, other music is not; takes share a split."""

import numpy as np
import prepare
import pytest
import strategies
from hypothesis import given
from hypothesis import strategies as st

from anticipation.data import alike
from anticipation.data.alike import Groups, families, is_copy, line_shingles, overlap, related, sketch, tune_hash
from anticipation.data.shards import Shards, join
from anticipation.music.notes import Notes
from anticipation.score import midi

pytest.importorskip("symusic")


def song(seed: int, length: int = 200, changed: float = 0.0) -> Notes:
    """A melody and its chords; a share of the melody is changed."""
    rng, other = np.random.default_rng(seed), np.random.default_rng(seed + 1000)
    pitch = 72 + np.cumsum(rng.integers(-4, 5, length)) % 12
    pitch = np.where(other.random(length) < changed, pitch + 1, pitch)
    rows = [(0.3 * i, 0.3, int(p), 73, 60 + i % 50) for i, p in enumerate(pitch)]
    roots = rng.integers(40, 52, length // 4)
    return Notes.of(rows + [(1.2 * i, 1.2, int(r) + s, 0, 64) for i, r in enumerate(roots) for s in (0, 7, 16)])


def stretched(notes: Notes, factor: float) -> Notes:
    return notes.replace(onset=notes.onset * factor, duration=notes.duration * factor)


@pytest.mark.parametrize(
    "change",
    [
        lambda n: n.transpose(3),
        lambda n: stretched(n, 1.7),
        lambda n: stretched(n.transpose(-5), 0.6).shift(4.0),
        lambda n: n.replace(instrument=np.where(n.instrument == 73, 40, 24)),
        lambda n: n.replace(velocity=n.velocity * 0 + 1),
        lambda n: n[5:],
    ],
    ids=["transposed", "slower", "both", "other instruments", "flat", "the first notes missing"],
)
def test_copies_are_found(change):
    one = song(1)
    assert is_copy(one, change(one)) and overlap(sketch(line_shingles(one)), sketch(line_shingles(change(one)))) > 0.9


def test_other_music_is_no_copy():
    assert (
        not is_copy(song(1), song(2)) and overlap(sketch(line_shingles(song(1))), sketch(line_shingles(song(2)))) < 0.1
    )
    assert not is_copy(song(1), song(1)[:150]), "a part of it"
    drums = Notes.of((0.6 * i, 0.1, 36, 128, 90) for i in range(200))
    assert not is_copy(song(1), song(1) + drums), "the same with a drummer is another piece"
    assert not is_copy(song(1), song(1, changed=0.3))
    assert alike.ALIKE < overlap(line_shingles(song(1)), line_shingles(song(1, changed=0.03))) < alike.COPY, (
        "another take"
    )


@given(strategies.notes(max_size=60))
def test_a_piece_is_like_itself_and_prints_are_sets(notes):
    shingles = line_shingles(notes)
    assert (np.diff(shingles.astype(np.int64)) > 0).all()
    assert overlap(sketch(shingles), sketch(shingles)) in (0.0, 1.0)
    if len(notes):
        assert np.array_equal(line_shingles(notes.shift(2.0)), shingles)


@given(
    st.sets(st.integers(0, 4000), min_size=1, max_size=1000), st.sets(st.integers(0, 4000), min_size=1, max_size=1000)
)
def test_a_print_estimates_what_sets_have_in_common(one, other):
    exact = len(one & other) / len(one | other)
    spread = np.random.default_rng(0).permutation(4001).astype(np.uint32)  # hashes are no small numbers in a row
    prints = [sketch(np.sort(spread[list(values)])) for values in (one, other)]
    assert abs(overlap(*prints) - exact) < 5 * 0.5 / np.sqrt(128)  # five standard errors
    assert overlap(*(np.sort(spread[list(values)]) for values in (one, other))) == pytest.approx(exact)


@given(st.lists(st.tuples(st.integers(0, 19), st.integers(0, 19)), max_size=30))
def test_groups_are_the_connected_parts(pairs):
    """Against the transitive closure of a matrix."""
    groups, near = Groups(20), np.eye(20, dtype=bool)
    for i, j in pairs:
        groups.join(i, j)
        near[i, j] = near[j, i] = True
    for _ in range(20):
        near = near @ near
    assert [groups[i] for i in range(20)] == near.argmax(1).tolist()


def folder_of(tmp_path, **songs: Notes):
    folder = tmp_path / "music"
    for name, notes in songs.items():
        source, _, name = name.partition("_")
        (folder / source).mkdir(parents=True, exist_ok=True)
        midi.write(midi.Score.from_notes(notes), folder / source / f"{name}.mid")
    return folder


def test_copies_are_dropped_and_takes_stay_together(tmp_path):
    songs = {f"a_{i}": song(i) for i in range(30)}
    songs |= {f"b_{i}copy": stretched(song(i).transpose(2), 1.25) for i in range(5)}
    songs |= {f"b_{i}take": song(i, changed=0.05) for i in range(30)}
    prepare.prepare([folder_of(tmp_path, **songs)], tmp_path / "shards")
    shards = Shards(tmp_path / "shards")
    assert shards.outcome == {"kept": 60, "near duplicate": 5}
    groups = {}
    for piece in shards.pieces:
        groups.setdefault(piece.group, set()).add((piece.source, piece.name.split(".")[0].removesuffix("take")))
        assert piece.alike == 2 and shards.pieces[piece.group].split == piece.split
    assert all(
        {name for _, name in own} == {name} and len(own) == 2 for own in groups.values() for _, name in [min(own)]
    )


def test_joining_again_changes_nothing(tmp_path):
    """Also where the piece through which two others belonged together has been dropped."""
    chain = {"a_1": song(1), "b_1": song(1, changed=0.004), "c_1": song(1, changed=0.02), "pop909_005__005": song(5)}
    prepare.prepare([folder_of(tmp_path, **chain)], tmp_path / "one")
    join([tmp_path / "one"], tmp_path / "two", prepare.split_of, prepare.family_of)
    one, two = Shards(tmp_path / "one"), Shards(tmp_path / "two")
    assert one.pieces == two.pieces and one.outcome == two.outcome and one.outcome["near duplicate"] >= 1


def test_what_is_like_a_development_song_is_never_trained_on(tmp_path):
    songs = {"pop909_005__005": song(5), "other_cover": song(5, changed=0.04), "pop909_006__006": song(6)}
    prepare.prepare([folder_of(tmp_path, **songs)], tmp_path / "shards")
    splits = {piece.name: piece.split for piece in Shards(tmp_path / "shards").pieces}
    assert splits == {"005__005.mid": "dev", "cover.mid": "dev", "006__006.mid": "train"}


def test_music_of_a_development_song_is_never_trained_on(tmp_path):
    """A movement and its work, a cover with other chords and an intro: too unlike to be takes, and one song."""
    verse, other = song(5)[song(5).instrument == 73], song(6)
    work = song(5) + song(7).shift(70.0) + song(8).shift(140.0) + song(9).shift(210.0)
    cover = other.between(0, 50) + verse.between(20, 45).shift(50.0) + other.between(50, 61).shift(50.0)
    songs = {
        "pop909_005__005": song(5),
        "other_work": work,
        "other_cover": cover.transpose(3),
        "pop909_007__007": song(1),
    }
    assert all(overlap(line_shingles(song(5)), line_shingles(one)) < alike.ALIKE for one in (work, cover))
    prepare.prepare([folder_of(tmp_path, **songs)], tmp_path / "shards")
    pieces = Shards(tmp_path / "shards").pieces
    assert {piece.name[:4]: piece.split for piece in pieces} == {
        "005_": "dev", "work": "dev", "cove": "dev", "007_": "train"
    }  # fmt: skip
    assert {piece.alike for piece in pieces} == {1}, "other pieces, for the weights"


@given(st.lists(st.tuples(st.sets(st.integers(0, 60), max_size=50), st.booleans()), max_size=16))
def test_related_are_those_with_rare_shingles_in_common(drawn):
    """Against counting them."""
    spread = np.random.default_rng(0).permutation(1 << 16)[:61].astype(np.uint32) << np.uint32(16)
    sets = [{v % 25 if narrow else v for v in own} for own, narrow in drawn]
    many = {v for v in range(61) if sum(v in own for own in sets) > 3}
    found = [
        [i, j] for j, other in enumerate(sets) for i, one in enumerate(sets[:j])
        if len(one & other - many) >= max(alike.PASSAGE, alike.QUOTED * min(len(one), len(other)))
    ]  # fmt: skip
    pairs = related([np.sort(spread[list(own)]) for own in sets])
    assert pairs.shape == (len(found), 2) and pairs.tolist() == sorted(found)


def test_families_by_name_share_a_split():
    assert prepare.family_of("pop909", "005__005.mid") == prepare.family_of("pop909-versions", "005__versions__v1.mid")
    assert prepare.family_of("tavern", "Beethoven__B063__Krn__B063_00_01_score.mid") == "tavern B063"
    assert prepare.family_of("kittel", "musicXML__118_Chorale_15_Bass_6.mid") == "kittel 15"
    assert prepare.family_of("chopin-first-ed", "kern__028-1-BH-009.mid") == "chopin-first-ed 028-1"
    assert prepare.family_of("groove", "005__x.mid") is None


def test_synthetic_pieces_are_never_held_out(tmp_path):
    songs = {f"made_{i}": song(i) for i in range(40)} | {"pop909_005__005": song(5, changed=0.04)}
    folder = folder_of(tmp_path, **songs)
    (folder / "made" / "ATTRIBUTION.txt").write_text("SYNTHETIC: by a test")
    prepare.prepare([folder], tmp_path / "shards")
    shards = Shards(tmp_path / "shards")
    assert shards.synthetic == {"made"} and {p.split for p in shards.pieces if p.source == "made"} == {"train"}
    assert shards.outcome == {"kept": 40, "synthetic, like a held-out piece": 1}


def test_a_tune_is_known_again():
    one = song(3)
    assert tune_hash(one) == tune_hash(one.shift(3.0)) == tune_hash(one.replace(velocity=one.velocity * 0 + 1))
    assert tune_hash(one) != tune_hash(one.transpose(1))


def test_of_a_few_pieces_copies_are_told_from_takes():
    """Also where a piece is too short for a print; one as loud or on other instruments is a copy as well."""
    take, short = song(2, changed=0.03), song(3, length=20)
    several = [
        song(1),
        song(2),
        stretched(song(1).transpose(3), 1.2),
        song(1),
        take,
        short,
        short.transpose(-2),
        song(4),
    ]
    copies, groups = families(several)
    assert copies == {2: 0, 3: 0, 6: 5}
    assert [groups[i] for i in range(8)] == [0, 1, 0, 0, 1, 5, 5, 7]
    assert families([])[0] == {} and families([short])[0] == {}
