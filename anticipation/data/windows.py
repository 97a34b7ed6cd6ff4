"""Training windows: which notes are events, which are controls, what is told and what is hidden, drawn at random.

Everything is a function of (seed, step, index), so a resumed run sees what an uninterrupted one would have seen. Knows
shards and rows; knows no weights.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from itertools import pairwise

import numpy as np

from ..errors import AnticipationError
from ..model import stream as s
from ..model.batch import collate
from ..music.keys import estimate_key, to_c
from ..music.notes import BEAT, CHORD, Notes
from .folder import Folder
from .shards import Piece, Shards

# How notes become controls, and how often: as in the AMT paper, with more for parts and one kind for live playing.
CONTROLS = {"none": 0.10, "span": 0.14, "parts": 0.46, "random": 0.12, "live": 0.18}
CHORDS_ROLE = {"hidden": 0.35, "given": 0.30, "written": 0.35}
# How often a window is a plan: a part is given, and only chords are written. More often where people named the chords.
PLANS = {"pop909": 0.45, "pop909-versions": 0.4}
PLAN = 0.1
# A "look" is a moment at which a live player's planner starts a new plan; see stream.event_rows.
LOOK = 3.0  # mean seconds from one look to the next
PLANNED = 3.0  # seconds that are planned after a look, at most
DELTAS = (0.5, 1.0, 2.0, 3.0, 5.0, 5.0, 5.0, 8.0, 10.0)  # seconds of anticipation
STYLE_OF = {  # the corpus's sources; others are "unknown"
    "pop909": "pop", "pop909-versions": "pop", "openewld-us-pd": "pop", "chopin-first-ed": "piano", "tavern": "piano",
    "cre-corpus": "folk", "openhymnal": "folk", "freedoom": "band", "blasphemer": "band", "easyrpg-rtp": "band",
    "groove": "drums", "boostermusic": "piano",
    **dict.fromkeys(("polish-scores", "openscore-lieder", "openscore-quartets", "openscore-orchestra", "goudimel",
                     "mutopia-pd-ccby", "mutopia-ccbysa", "kittel", "zinck", "dmidiplayer"), "classical"),
}  # fmt: skip


@dataclass(frozen=True)
class Odds:
    """The probability of every random choice in making a window."""

    controls: dict[str, float] = field(default_factory=lambda: CONTROLS)
    chords: dict[str, float] = field(default_factory=lambda: CHORDS_ROLE)
    beats: float = 0.6  # the beats are given in the chart
    told: float = 0.75  # the start rows name the instruments to be written
    style: float = 0.6  # the start rows name the style
    drop: float = 0.3  # one part is removed altogether
    tempo: float = 0.5  # the tempo is changed, by up to 20 % either way
    wrong_key: float = 0.2  # transposed to a random key instead of to C major or A minor
    beginning: float = 0.2  # the window starts where the piece starts
    plans: bool = True  # whether some windows are plans: see PLANS
    mates: float = 0.5  # live windows: some parts of the band are given as controls, as other band members' are
    timeline: float = 0.3  # live windows: the player's notes are known ahead of time
    looked: float = 0.2  # other windows: they contain looks, too

    @staticmethod
    def plain(controls: str = "parts", chords: str = "hidden") -> Odds:
        """For evaluation: nothing is left to chance but the excerpt. controls, chords: names in CONTROLS and
        CHORDS_ROLE."""
        never = dict.fromkeys(("style", "drop", "tempo", "wrong_key", "mates", "timeline", "looked"), 0.0)
        return Odds({controls: 1.0}, {chords: 1.0}, 1.0, 1.0, plans=False, **never)


def draw(rng: np.random.Generator, chances: dict[str, float]) -> str:
    """A name, drawn with the odds that stand beside it."""
    names = list(chances)
    weights = np.array([chances[name] for name in names])
    return names[rng.choice(len(names), p=weights / weights.sum())]


def excerpt(notes: Notes, rng: np.random.Generator, length: int, odds: Odds) -> tuple[Notes, bool]:
    """About `length` rows of a piece, moved to time 0, and whether they are its beginning."""
    cold = bool(rng.random() < odds.beginning) or len(notes) <= length
    first = 0 if cold else int(rng.integers(0, len(notes) - length // 2))
    window = notes[first : first + length + 32]
    lead = rng.uniform(0.0, 1.0) if rng.random() < 0.5 else rng.uniform(0.0, 0.05)
    window = window.shift(lead - float(window.audible.onset.min() if len(window.audible) else window.onset[0]))
    window = window[(window.onset >= 0) | ((window.instrument == CHORD) & (window.offset > 0.2))]
    late = np.maximum(-window.onset, 0.0)  # a chord that sounds already begins with the window
    window = window.replace(onset=window.onset + late, duration=window.duration - late)
    if rng.random() < odds.tempo:
        factor = 2.0 ** rng.uniform(-0.26, 0.26)
        window = window.replace(onset=window.onset * factor, duration=window.duration * factor)
    return window, cold


def top_part(notes: Notes) -> int | None:
    """The pitched instrument with the highest mean pitch, as a melody has; None without pitches."""
    parts = notes.pitched.instruments
    return max(parts, key=lambda part: notes.pitch[notes.instrument == part].mean()) if parts else None


def choose_controls(notes: Notes, kind: str, rng: np.random.Generator) -> np.ndarray:
    """Boolean mask over audible notes: those that are given to the model, not written by it. kind: a name in
    CONTROLS."""
    parts = notes.instruments
    given = np.zeros(len(notes), dtype=bool)
    if kind in ("parts", "live") and len(parts) > 1:
        count = 1 if kind == "live" else int(rng.integers(1, len(parts)))
        chosen = rng.choice(parts, size=count, replace=False)
        top = top_part(notes)
        if top is not None and rng.random() < 0.5:  # the melody, more often than chance would have it
            chosen = np.union1d(chosen[: count - 1], [top])
        given = np.isin(notes.instrument, chosen)
    if kind == "random":
        given = rng.random(len(notes)) < rng.uniform(0.1, 0.9)
    if kind == "span" or (kind == "parts" and rng.random() < 0.25):  # holes that end: what follows is known
        time, inside = 0.0, bool(rng.random() < 0.2)
        while time < notes.end:
            length = rng.exponential(8.0) + 1.0
            if inside:
                given |= (notes.onset >= time) & (notes.onset < time + length)
            time, inside = time + length, not inside
    if given.all():
        given[:] = False
    return given


def choose_mates(notes: Notes, given: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    """The instruments of a live band that are given to the model like the player's notes; at least one is left to be
    written."""
    others = notes[~given].instruments
    return rng.choice(others, size=int(rng.integers(1, len(others))), replace=False) if len(others) > 1 else np.zeros(0)


def live_told(
    controls: np.ndarray, mates: np.ndarray, delta: int, looks: np.ndarray, rng: np.random.Generator
) -> np.ndarray:
    """(N,) steps at which a live band's planner is told each of N quantised controls (N, 5). mates: (N,) those of the
    band's other parts.

    A plan begins at a look and lasts a random while. Meanwhile nothing more is heard of the player, unless his notes
    are known ahead (delta > 0). The band's parts are planned in step: a note of another part is told once the note
    before it has begun, but not before the look.
    """
    onset = controls[:, 0]
    told = np.where(mates, onset + max(-delta, s.LATENESS), onset - delta)
    before = np.zeros(len(controls), dtype=np.int64)
    for part in np.unique(controls[mates, 1]):
        own = np.flatnonzero(controls[:, 1] == part)
        before[own] = np.maximum(np.concatenate([[0], onset[own[:-1]]]), onset[own] - s.REST)
    for look, following in pairwise([*looks.tolist(), 1 << 40]):
        end = min(look + int(rng.uniform(0.1, PLANNED) * s.STEPS), following)
        unheard = ~mates & (told > look) & (told <= end) & (delta < 0)
        planned = mates & (onset >= look) & (onset < end)
        told = np.where(unheard, end, np.where(planned, np.maximum(before, look), told))
        told = np.where(mates & (onset < look), np.minimum(told, look), told)
    return told


def key_shift(notes: Notes, rng: np.random.Generator, odds: Odds) -> int:
    """Semitones that transpose the notes to C major or A minor (-5..6), or where `wrong_key` is drawn to any key."""
    key = estimate_key(notes)
    if rng.random() < odds.wrong_key:
        key = int(rng.integers(0, 12))
    return to_c(key)


def window_rows(piece: Piece, notes: Notes, rng: np.random.Generator, length: int, odds: Odds) -> np.ndarray:
    """The rows of one training window, at most `length`."""
    planning = odds.plans and rng.random() < PLANS.get(piece.source, PLAN) and len(notes.pitched) > 0
    if planning:
        heard = [top_part(notes)] if rng.random() < 0.7 else rng.choice(notes.audible.instruments, size=1)
        notes = notes.of_instruments([*heard, CHORD, BEAT])
    window, cold = excerpt(notes, rng, length, odds)
    beats, chords = window.beats, window.chords
    audible = window.audible
    parts = audible.instruments
    if len(parts) > 2 and rng.random() < odds.drop:
        audible = audible.without_instruments([rng.choice(parts)])
    kind = draw(rng, odds.controls)
    role = draw(rng, odds.chords) if len(chords) else "hidden"
    if planning:
        kind, role, given = "parts", "written", np.ones(len(audible), dtype=bool)
    else:
        given = choose_controls(audible, kind, rng)
    live, mates = kind == "live", np.zeros(0)
    if live and given.any() and rng.random() < odds.mates:
        mates = choose_mates(audible, given, rng)
        given |= np.isin(audible.instrument, mates)
    controls, events = audible[given], audible[~given]
    shift = key_shift(controls if len(controls.pitched) >= 8 else audible, rng, odds)
    chart = Notes.of([])
    if role == "written":
        events = events + chords
    elif role == "given":
        chart = chords
    if rng.random() < odds.beats:
        chart = chart + beats
    late = live and rng.random() >= odds.timeline
    delta = int(round((-rng.uniform(0.02, 1.0) if late else rng.choice(DELTAS)) * s.STEPS))
    looks, told = np.zeros(0, dtype=np.int64), None
    if live or rng.random() < odds.looked:
        looks = rng.exponential(LOOK * s.STEPS, length // 2).cumsum().astype(np.int64)
        looks = looks[looks < window.audible.end * s.STEPS]
    table = s.quantise(controls.transpose(shift))
    echoes = s.echoes_of(table, () if live else events.instruments)
    if live:
        told = live_told(table, np.isin(table[:, 1], mates), delta, looks, rng)
    header = s.Header(
        delta=delta,
        instruments=tuple(events.instruments) if rng.random() < odds.told else None,
        style=s.STYLES.index(STYLE_OF.get(piece.source, "unknown")) if rng.random() < odds.style else 0,
        cold=cold,
    )
    return s.interleave(
        s.quantise(events.transpose(shift)),
        table,
        s.Chart.of(chart.transpose(shift)),
        header,
        told=told,
        looks=looks,
        until=int(window.audible.end * s.STEPS) if len(window) < length else 0,
        limit=length,
        echoes=echoes,
    )


class Windows:
    """step -> batch: an endless data set in which any step can be asked for. mix: source -> share of the windows;
    sources that it does not name are left out. Without a mix a source's share goes by its notes."""

    def __init__(
        self, shards: Shards | Folder, split: str, *, batch: int, length: int, seed: int, odds: Odds | None = None,
        mix: dict[str, float] | None = None,
    ) -> None:  # fmt: skip
        self.shards, self.batch, self.length, self.odds = shards, batch, length, odds or Odds()
        self.seed = seed
        self.pieces = [p for p in shards.split(split) if not mix or p.source in mix]
        if not self.pieces:
            wanted = f"split {split!r}" + (" from the sources of the mix" if mix else "")
            raise AnticipationError(f"{shards.folder} has no pieces in {wanted}")
        # Long pieces are drawn more often, but not in proportion, or operas would crowd out songs. Takes of one piece
        # share the chance of one.
        weight = np.array([min(p.notes, 8000) ** 0.75 / p.alike for p in self.pieces])
        if mix:
            totals: dict[str, float] = {}
            for p, w in zip(self.pieces, weight, strict=True):
                totals[p.source] = totals.get(p.source, 0.0) + w
            weight *= [mix[p.source] / totals[p.source] for p in self.pieces]
        self.chance = weight / weight.sum()

    def rows(self, step: int, index: int) -> tuple[np.ndarray, Piece]:
        """Window `index` of a step's batch, and the piece it was cut from. Raises AnticipationError where no window has
        enough to write."""
        rng = np.random.default_rng((self.seed, 0, step, index))  # 0: once the process's rank; kept for the same draws
        for _ in range(1000):
            piece = self.pieces[rng.choice(len(self.pieces), p=self.chance)]
            rows = window_rows(piece, self.shards.notes(piece), rng, self.length, self.odds)
            if (rows[:, s.KIND] == s.EVENT).sum() >= 4:
                return rows, piece
        raise AnticipationError(f"{self.shards.folder}: no window of {self.length} rows has 4 events to write")

    def __getitem__(self, step: int) -> dict[str, np.ndarray]:
        return collate([self.rows(step, i)[0] for i in range(self.batch)], self.length)
