"""The band teacher: python train/band.py SHARDS OUT [--billboard DIR]: synthetic band pieces as shards.

Human drum takes (Groove) under human songs (POP909, OpenEWLD: melody, chords, beats) and chord charts (McGill
Billboard), with bass, guitars, keys and strings from players.py that follow the chords, the kick and the swing. Only
training pieces are used; what comes out is marked synthetic, so that it is never held out. Merge it with
`prepare.py --merge SHARDS OUT MERGED`. The same shards and seed make the same pieces.
"""

from __future__ import annotations

import argparse
import zlib
from bisect import bisect_right
from collections import Counter
from collections.abc import Iterator
from pathlib import Path

import _script
import numpy as np
import players
from drummer import KICK, Kit, play
from players import TREBLE, Song, Sound
from sheets import VOICE, Sheet, billboard_sheets, melody_of, shard_sheets
from styles import DISTORTED, LEADS, STRINGS, STYLES, Style

from anticipation.data.shards import SYNTHETIC, Shards, write
from anticipation.errors import AnticipationError
from anticipation.music.notes import DRUMS, Notes

SOURCE = "band-teacher"
LICENCE = f"""SOURCE: train/band.py of this repository, over the training pieces of its sources
LICENCE: as its parts: POP909 MIT; Groove CC BY 4.0 (Magenta Groove MIDI Dataset, Gillick et al. 2019); OpenEWLD public
domain scores; McGill Billboard CC0 (Burgoyne, Wild, Fujinaga 2011)
{SYNTHETIC} drums human, tunes and some piano parts human; bass, guitars, keys and strings written by patterns
"""


def pick(rng: np.random.Generator, options):
    return options[int(rng.integers(len(options)))]


def arrangement(sheet: Sheet, rng: np.random.Generator) -> np.ndarray:
    """(phrases,) how full each phrase is, 0 to 3: it begins thin, swells, may thin out once, and ends full."""
    count = len(sheet.phrases) - 1
    level = np.clip(np.round(np.linspace(rng.uniform(0.3, 1.6), 3, count) + rng.normal(0, 0.5, count)), 1, 3)
    if rng.random() < 0.5:
        level[0] = rng.integers(0, 2)
    if count > 4 and rng.random() < 0.4:
        level[rng.integers(2, count - 1)] = 0
    return level.astype(int)


def sounding(parts: dict[int, list[Sound]], sheet: Sheet, level: np.ndarray, rng: np.random.Generator) -> Notes:
    """Parts as Notes: each player a little early or late, no two strokes alike, louder where the song is fuller."""
    rows = []
    bounds = [sheet.bars[bar] for bar in sheet.phrases]
    for instrument, sounds in parts.items():
        drums = instrument == DRUMS
        habit, base = (0.0, 0) if drums else (rng.normal(0, 0.006), rng.integers(58, 84))
        strum = 0.011 if 24 <= instrument <= 31 else 0.003
        again: dict[float, int] = {}
        sounds = sorted(sounds)
        starts = sheet.seconds([position for position, *_ in sounds]).tolist()
        ends = sheet.seconds([position + length for position, length, *_ in sounds]).tolist()
        for (position, _, pitch, loud), start, stop in zip(sounds, starts, ends, strict=True):
            within = again[position] = again.get(position, -1) + 1
            phrase = min(max(bisect_right(bounds, position + 0.2) - 1, 0), len(level) - 1)
            late = 0.0 if drums else habit + rng.normal(0, 0.004) + strum * within
            onset = max(0.0, start + late)
            end = max(onset + 0.04, stop + late)
            hit = loud if drums else base * (0.45 + 0.65 * loud) + 4 * level[phrase] + rng.normal(0, 4)
            rows.append((onset, end - onset, pitch, instrument, min(max(int(hit), 8), 127)))
    return Notes.of(rows)


def warped(notes: Notes, sheet: Sheet, song: Song) -> Notes:
    """Notated notes, swung with the band."""

    def moved(seconds: np.ndarray) -> np.ndarray:
        return sheet.seconds([song.swung(p) for p in sheet.position(seconds).tolist()])

    onset, end = moved(notes.onset), moved(notes.offset)
    return notes.replace(onset=onset, duration=np.maximum(end - onset, 0.03))


def given_parts(sheet: Sheet, song: Song, rng: np.random.Generator) -> tuple[Notes, bool]:
    """The human parts of a song that stay (melody, some accompaniment), and whether a piano is among them."""
    melody = melody_of(sheet)
    if not len(melody):
        return Notes.of([]), False
    lead = VOICE if rng.random() < 0.4 else int(pick(rng, LEADS))
    kept = [melody.replace(instrument=melody.instrument * 0 + lead)]
    piano = sheet.straight and rng.random() < 0.35
    if piano:
        kept.append(sheet.given[sheet.given.instrument == 0])
    if sheet.straight and rng.random() < 0.4:
        kept.append(sheet.given[sheet.given.instrument == 48])
    notes = Notes.concat(kept)
    return (notes if sheet.straight or song.swing == 0.5 else warped(notes, sheet, song)), piano


def ceiling(sheet: Sheet) -> np.ndarray | None:
    """(bars,) the lowest melody pitch of each bar."""
    melody = melody_of(sheet)
    if not len(melody):
        return None
    out = np.full(len(sheet.bars) - 1, 127)
    where = np.searchsorted(sheet.bars, sheet.position(melody.onset) + 1e-6, side="right") - 1
    inside = (where >= 0) & (where < len(out))
    np.minimum.at(out, where[inside], melody.pitch[inside])
    return out


def compose(sheet: Sheet, style: Style, kit: Kit, rng: np.random.Generator) -> Notes | None:
    """A band's performance of a sheet; None where no drum take fits it."""
    take = kit.choose(style.drums, sheet.bpm, sheet.straight, rng)
    if take is None:
        return None
    level = arrangement(sheet, rng)

    def from_level(least: int) -> list[bool]:
        return (level >= least).tolist()

    strokes = play(sheet, take, kit.fills_for(take, sheet.bpm), from_level(1), rng)
    kicks = np.array([position for position, pitch, _ in strokes if pitch == KICK])
    lines = set(sheet.bars)
    pushed = frozenset(c for c in sheet.changes if c in lines and c > 1 and rng.random() < style.push)
    song = Song(sheet, kicks, rng, take.swing, pushed, ceiling(sheet))
    given, piano = given_parts(sheet, song, rng)
    parts: dict[int, list[Sound]] = {DRUMS: [(x, 0.1, pitch, velocity) for x, pitch, velocity in strokes]}
    line = pick(rng, style.bass)
    bass = players.walk(song, from_level(1)) if line == "walk" else players.bass(song, line, from_level(1))
    parts[pick(rng, style.basses)] = bass
    low, high = ((48, 67), (55, 76)) if rng.random() < 0.5 else ((55, 76), (48, 67))  # two hands are not in one place
    if rng.random() < 0.85:
        guitar, comp, playing = pick(rng, style.guitars), pick(rng, style.guitar), from_level(int(rng.integers(1, 3)))
        if guitar in DISTORTED:
            parts[guitar] = players.power(song, comp, playing)
        else:
            parts[guitar] = players.chords(song, comp, playing, low, 3 if comp == "chops" else 4)
    if not piano and rng.random() < 0.85:
        keyboard, comp = pick(rng, style.keyboards), pick(rng, style.keys)
        parts[keyboard] = players.chords(song, comp, from_level(0), high)
    if rng.random() < style.strings:
        parts[pick(rng, STRINGS)] = players.pads(song, from_level(2), TREBLE if rng.random() < 0.6 else (55, 77))
    return given + sounding(parts, sheet, level, rng)


def fitting(sheet: Sheet) -> list[str]:
    """The styles whose tempo the song has, and whose eighths it may have."""
    return [name for name, style in STYLES.items()
            if style.tempo[0] <= sheet.bpm <= style.tempo[1] and not (sheet.straight and name == "swing")]  # fmt: skip


def pieces(sheets: Iterator[Sheet], kit: Kit, versions: int, seed: int, left: Counter) -> Iterator[tuple]:
    """(source, name, digest, notes) of every song in `versions` different styles. The draw of a piece depends on its
    own name and the seed only."""
    for sheet in sheets:
        number = zlib.crc32(sheet.name.encode())
        styles = fitting(sheet)
        order = np.random.default_rng((seed, number)).permutation(len(styles)).tolist()
        made = 0
        for index in order:
            if made == versions:
                break
            notes = compose(sheet, STYLES[styles[index]], kit, np.random.default_rng((seed, number, index)))
            if notes is None or len(np.unique(notes.instrument)) < 3:
                left["no drum take fits"] += 1
                continue
            made += 1
            yield SOURCE, f"{sheet.name}-{styles[index]}.mid", "", notes + sheet.chart()


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("shards", type=Path, help="with groove, and pop909 or openewld-us-pd, in them")
    parser.add_argument("out", type=Path)
    parser.add_argument("--billboard", type=Path, help="McGill Billboard's charts, NNNN.txt")
    parser.add_argument("--versions", type=int, default=1, help="of every song, each in another style")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--most", type=int, help="only so many songs of each kind")
    parser.add_argument("--mid", type=Path, help="also write every piece to this folder, as .mid")
    args = parser.parse_args()
    shards = Shards(args.shards)
    kit = Kit.of(shards)
    if not kit.beats:
        raise AnticipationError(f"{args.shards} has no training takes of groove")
    kinds = [shard_sheets(shards, ("pop909",)), shard_sheets(shards, ("openewld-us-pd",))]
    kinds += [billboard_sheets(args.billboard)] if args.billboard else []
    left: Counter = Counter()

    def all_pieces() -> Iterator[tuple]:
        for kind in kinds:
            chosen = (sheet for i, sheet in enumerate(kind) if args.most is None or i < args.most)
            for piece in pieces(chosen, kit, args.versions, args.seed, left):
                if args.mid:
                    write_mid(args.mid / piece[1], piece[3])
                yield piece

    write(args.out, all_pieces(), left, {SOURCE: LICENCE}, split="train")
    print(f"{len(Shards(args.out).pieces)} pieces; " + ", ".join(f"{n} x {what}" for what, n in left.items()))


def write_mid(path: Path, notes: Notes) -> None:
    from anticipation.music.tempo import TempoMap
    from anticipation.score import midi

    beats = notes.beats.duration
    path.parent.mkdir(parents=True, exist_ok=True)
    tempo = TempoMap.constant(60 / float(np.median(beats)))
    midi.write(midi.Score.from_notes(notes.audible, tempo), path, force=True)


if __name__ == "__main__":
    _script.run(main)
