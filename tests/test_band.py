"""The band teacher: charts by hand, players who follow chord and kick, and nothing of a held-out song."""

import sys
from itertools import pairwise
from pathlib import Path

import band
import numpy as np
import players
import prepare
import pytest
from drummer import Kit, play, take_of
from players import Song
from sheets import Sheet, bars_of, melody_of, parse_chart_file, shard_sheets, sheet_of
from styles import STYLES

from anticipation.data.shards import Shards, join
from anticipation.errors import AnticipationError
from anticipation.music import metrics
from anticipation.music.harmony import CHORD_TONES, NO_CHORD
from anticipation.music.notes import BEAT, CHORD, DRUMS, Notes
from anticipation.music.symbols import parse_chord
from anticipation.music.tempo import TempoMap
from anticipation.score import midi

pytest.importorskip("symusic")

CHART = """# title: A Song
# metre: 4/4

0.0\tsilence
1.0\tA, intro, | C:maj | G:7/3 . F:maj7 . | (2/4) A:min |, (guitar
6.0\tB, verse, | C:maj(9) F:maj | x2
10.0\tB, | N | C:sus4(b7,9) | C:5 | C:min9 |
18.0\tB, | C:maj | C:maj | C:maj | C:maj |
26.0\tB, | C:maj | C:maj | C:maj | C:maj |
34.0\tend
"""


def symbols(text: str) -> list[int]:
    return [parse_chord(name) for name in text.split()]


def test_a_chart_by_hand():
    sheet = parse_chart_file("song", CHART)
    assert sheet.bars[:6] == (0, 4, 8, 10, 14, 18) and sheet.phrases == (0, 3, 5, 9, 13, 17)
    assert sheet.chords[[0, 8, 12, 16]].tolist() == symbols("C G7 Fmaj7 Am")
    assert sheet.chords[[20, 24, 28, 36, 44, 52, 60]].tolist() == symbols("C F C N Csus4 C Cm7")
    assert sheet.times[:2].tolist() == [0.0, 0.5] and sheet.seconds(10) == 5.0 and sheet.seconds(14) == 7.0
    assert sheet.position(5.25) == pytest.approx(10.5) and len(sheet.times) == sheet.bars[-1] + 1
    chart = sheet.chart()
    assert (chart.instrument == CHORD).sum() == len(sheet.changes) and chart.beats.pitch[10] == 0
    assert parse_chart_file("short", "0.0\t| C:maj |\n2.0\tend\n") is None
    assert parse_chart_file("fast", CHART.replace("34.0", "26.1").replace("18.0", "10.1")) is None


def test_bars_of_a_line():
    assert bars_of("A, | C:maj . . G:maj |") == [symbols("C C C C C C G G")]
    assert bars_of("silence") == [] and bars_of("A, | * |") == [[NO_CHORD] * 8]
    assert [len(bar) for bar in bars_of("A, | C:maj | (6/4) C:maj | x3")] == [8, 12] * 3


def song_notes(seed: int, bars: int = 24) -> Notes:
    """A tune, a bridge and a piano over four chords, 120 bpm."""
    rng = np.random.default_rng(seed)
    roots = rng.choice([48, 53, 55, 57], bars)
    rows = [
        (0.5 * i, 0.4, int(roots[i // 4]) + 24 + int(rng.choice([0, 4, 7])), 53, 60 + i % 40) for i in range(4 * bars)
    ]
    rows += [(2.0 * i, 1.9, int(root) + step, 0, 50 + i) for i, root in enumerate(roots) for step in (0, 4, 7)]
    return Notes.of(rows)


def drum_notes(seed: int, bars: int) -> Notes:
    """Kick, snare and hats of Roland's kit, that do not quite repeat themselves."""
    rng = np.random.default_rng(seed)
    rows = [(0.25 * i, 0.1, int(rng.choice([22, 22, 26, 51])), DRUMS, 60 + 30 * (i % 2 == 0)) for i in range(8 * bars)]
    for bar in range(bars):
        rows += [(2.0 * bar + x + rng.normal(0, 0.005) + 0.02, 0.1, 36, DRUMS, 100) for x in (0.0, 0.75, 1.25)]
        rows += [(2.0 * bar + x, 0.1, 38, DRUMS, 110) for x in (0.5, 1.5)]
    return Notes.of(rows)


def fill_notes(seed: int) -> Notes:
    """A bar of sixteenths down the toms."""
    toms = np.sort(np.random.default_rng(seed).choice([38, 48, 45, 43], 16))[::-1]
    rows = [(0.125 * i, 0.1, int(tom), DRUMS, 70 + 2 * i) for i, tom in enumerate(toms)]
    return Notes.of([*rows, (0.0, 0.1, 36, DRUMS, 90), (1.0, 0.1, 36, DRUMS, 90)])


def prepared(files: dict[str, Notes], folder: Path) -> Shards:
    """Shards of pieces by their names, at 120 bpm."""
    for name, notes in files.items():
        (folder / name).parent.mkdir(exist_ok=True)
        midi.write(midi.Score.from_notes(notes, TempoMap.constant(120)), folder / name)
    prepare.prepare([folder], folder / "shards")
    return Shards(folder / "shards")


@pytest.fixture(scope="module")
def shards(tmp_path_factory) -> Shards:
    folder = tmp_path_factory.mktemp("corpus")
    files = {f"pop909/{i:03d}__{i:03d}.mid": song_notes(i) for i in (1, 2, 3, 5)}
    files |= {f"groove/drummer1__session1__{i}_rock_120_beat_4-4.mid": drum_notes(i, 16 + i) for i in range(3)}
    files |= {f"groove/drummer1__session1__{i}_rock_120_fill_4-4.mid": fill_notes(i) for i in (7, 8)}
    return prepared(files, folder)


@pytest.fixture(scope="module")
def sheet(shards) -> Sheet:
    return next(iter(shard_sheets(shards, ("pop909",))))


@pytest.fixture(scope="module")
def kit(shards) -> Kit:
    return Kit.of(shards)


def test_a_sheet_is_what_the_shards_say(shards, sheet):
    piece = shards.pieces[-4]
    assert piece.source == "pop909" and sheet.straight and sheet.bpm == pytest.approx(120)
    assert sheet.bars == tuple(range(0, 4 * (len(sheet.bars) - 1) + 1, 4)) and len(melody_of(sheet)) >= 4 * 22
    notes = shards.notes(piece)
    assert sheet_of(piece, notes.without_instruments([BEAT])) is None
    assert [s.name[7:10] for s in shard_sheets(shards, ("pop909",))] == ["001", "002", "003"], "005 is held out"


def test_takes_are_read_from_their_names(shards, kit):
    held = [p.name for p in shards.split("valid")]
    assert held == ["drummer1__session1__0_rock_120_beat_4-4.mid"], "of 16 bars, by its content"
    assert {take.bars for take in kit.beats} == {17, 18} and len(kit.fills) == 2
    assert all(take.upright and take.swing == 0.5 and 22 not in take.pitch for take in kit.beats)
    assert take_of("drummer1__x__1_rock_120_beat_3-4.mid", drum_notes(0, 4)) is None
    late = take_of("a_rock_120_beat_4-4.mid", drum_notes(0, 8).shift(0.5))
    assert not late.upright, "its bars begin on the second beat"
    assert kit.choose(("jazz",), 120, True, np.random.default_rng(0)) is None
    assert kit.choose(("rock",), 240, True, np.random.default_rng(0)) is None


def test_drums_are_the_human_ones(sheet, kit):
    """But for the crash after a fill, every stroke is one of the takes', where it was in its bar."""
    take, phrases = kit.beats[0], len(sheet.phrases) - 1
    strokes = play(sheet, take, list(kit.fills), [True] * phrases, np.random.default_rng(0))
    own = {
        (round(x % 4, 6), p, v)
        for one in (take, *kit.fills)
        for x, p, v in zip(one.position.tolist(), one.pitch.tolist(), one.velocity.tolist(), strict=True)
    }
    assert all((round(x % 4, 6), p, v) in own for x, p, v in strokes if p != 49) and len(strokes) > 8 * 20
    some = play(sheet, take, [], [False] + [True] * (phrases - 1), np.random.default_rng(0))
    assert min(x for x, *_ in some) > sheet.bars[sheet.phrases[1]] - 0.2


def playing(sheet, kit, **more) -> tuple[Song, list[bool]]:
    everywhere = [True] * (len(sheet.phrases) - 1)
    strokes = play(sheet, kit.beats[0], [], everywhere, np.random.default_rng(1))
    kicks = np.array([x for x, pitch, _ in strokes if pitch == 36])
    return Song(sheet, kicks, np.random.default_rng(2), **more), everywhere


@pytest.mark.parametrize("line", players.BASS_LINES)
def test_a_bass_follows_chord_and_kick(sheet, kit, line):
    song, everywhere = playing(sheet, kit)
    part = players.bass(song, line, everywhere)
    assert all(28 <= pitch <= 56 for _, _, pitch, _ in part) and all(length > 0 for _, length, *_ in part)
    notes = Notes.of((float(sheet.seconds(x)), 0.5 * length, p, 33, 80) for x, length, p, _ in part)
    chart = sheet.chart()
    inside, counted = metrics.bass_on_chord(notes, chart.chords, chart.beats)
    assert counted >= 20 and inside == counted
    on_kick = [x for x, *_ in part if np.abs(song.kicks - x).min() < 0.14]
    assert all(x in song.kicks for x in on_kick) and len(on_kick) >= 20, "where both strike, they strike as one"


def test_a_walking_bass_walks(sheet, kit):
    song, everywhere = playing(sheet, kit)
    part = players.walk(song, everywhere)
    pitches = [pitch for x, _, pitch, _ in part if round(x) % 4 == 0]
    assert all(28 <= p <= 52 for _, _, p, _ in part) and len({round(x) for x, *_ in part}) == sheet.bars[-1]
    assert np.abs(np.diff(pitches)).max() <= 12


@pytest.mark.parametrize("comp", players.COMPS)
def test_chords_change_with_the_sheet_and_their_voices_move_little(sheet, kit, comp):
    pushed = frozenset(c for c in sheet.changes if c > 1)
    for song, everywhere in (playing(sheet, kit), playing(sheet, kit, pushed=pushed)):
        part = players.chords(song, comp, everywhere, (50, 70))
        for position, length, pitch, _ in part:
            heard = position + 0.5 if any(abs(position + 0.5 - c) < 0.01 for c in song.pushed) else position
            assert 50 <= pitch <= 70 and CHORD_TONES[sheet.chord(heard), pitch % 12]
            assert position + length <= song.change_after(heard) + 1e-6, "nothing sounds on into another chord"
        if comp not in players.BROKEN:
            chords = {}
            for position, _, pitch, _ in part:
                chords.setdefault(position, []).append(pitch)
            moves = [abs(np.mean(a) - np.mean(b)) for a, b in pairwise(chords.values())]
            assert max(moves) <= 4


def test_voicings_are_the_nearest():
    c, f = parse_chord("C"), parse_chord("F")
    assert players.voicing(c, (), 3, 48, 72) == (55, 60, 64)
    assert players.voicing(f, (55, 60, 64), 3, 48, 72) == (57, 60, 65)
    assert {p % 12 for p in players.voicing(parse_chord("G7"), (), 3, 48, 72)} >= {11, 5}, "third and seventh"


def test_held_strings_keep_common_tones(sheet, kit):
    song, everywhere = playing(sheet, kit)
    part = players.pads(song, everywhere)
    for pitch in {p for _, _, p, _ in part}:
        own = sorted((x, x + length) for x, length, p, _ in part if p == pitch)
        assert all(b[0] > a[1] + 0.01 or a[1] - a[0] >= 12 for a, b in pairwise(own))


def test_swing_delays_the_second_eighth_only(sheet, kit):
    song, _ = playing(sheet, kit, swing=2 / 3)
    assert [song.swung(x) for x in (0, 0.5, 1, 1.25, 1.75)] == pytest.approx([0, 2 / 3, 1, 1 + 1 / 3, 1 + 5 / 6])


def run(monkeypatch, capsys, *argv) -> str:
    monkeypatch.setattr(sys, "argv", ["band", *map(str, argv)])
    band.main()
    return capsys.readouterr().out


def test_pieces_are_reproducible_synthetic_and_of_training_songs(shards, tmp_path, monkeypatch, capsys):
    (tmp_path / "charts").mkdir()
    (tmp_path / "charts" / "0003.txt").write_text(CHART)
    more = ("--billboard", tmp_path / "charts", "--versions", 2, "--seed", 3)
    for name in ("one", "two"):
        out = run(monkeypatch, capsys, shards.folder, tmp_path / name, *more, "--mid", tmp_path / "mid")
        assert out.startswith("8 pieces")
    one, two = Shards(tmp_path / "one"), Shards(tmp_path / "two")
    for file in one.folder.iterdir():
        assert file.read_bytes() == (two.folder / file.name).read_bytes()
    assert {piece.name[:10] for piece in one.pieces} == {"pop909-001", "pop909-002", "pop909-003", "billboard-"}
    assert all(DRUMS in one.notes(piece).instruments for piece in one.pieces)
    assert len(list((tmp_path / "mid").glob("*.mid"))) == 8
    outcome = join([shards.folder, one.folder], tmp_path / "all", prepare.split_of, prepare.family_of)
    merged = Shards(tmp_path / "all")
    made = [piece for piece in merged.pieces if piece.source == band.SOURCE]
    assert outcome["kept"] == len(shards.pieces) + 8 and merged.synthetic == {band.SOURCE}
    assert {piece.split for piece in made} == {"train"} and {piece.alike for piece in made} == {1}
    assert [p.split for p in merged.pieces if p.source != band.SOURCE] == [p.split for p in shards.pieces]


def test_a_tune_is_left_as_it_was_sung(shards, sheet, kit):
    """All parts are humanised; what a human performed is not."""
    for name in ("ballad", "pop", "country"):
        notes = band.compose(sheet, STYLES[name], kit, np.random.default_rng(0))
        tune = melody_of(sheet)
        for onset, pitch in zip(tune.onset, tune.pitch, strict=True):
            assert ((abs(notes.onset - onset) < 1e-6) & (notes.pitch == pitch)).any()


def test_what_it_cannot_do_is_said_in_one_line(tmp_path, monkeypatch, capsys, music_folder):
    prepare.prepare([music_folder], tmp_path / "shards")
    with pytest.raises(AnticipationError, match="no training takes of groove"):
        run(monkeypatch, capsys, tmp_path / "shards", tmp_path / "out")


def test_empty_charts(shards, tmp_path, monkeypatch, capsys):
    with pytest.raises(AnticipationError, match="no charts"):
        run(monkeypatch, capsys, shards.folder, tmp_path / "out", "--billboard", tmp_path)
    assert not (tmp_path / "out" / "manifest.json").exists()
