"""Scene: a moment of live music. What is known by now, what is to be written, and the rows that say so. Knows no
weights and nothing of how the moment came about."""

from __future__ import annotations

from dataclasses import dataclass, field

import numpy as np

from ..model import stream as s
from ..music.notes import BEAT, Notes


def none() -> Notes:
    return Notes.of([])


@dataclass(frozen=True)
class Scene:
    """What live playing asks for, again and again.

    own: what the band has played, and a plan of its own that is to be continued; the history of the stream. late: the
    player's notes, known `lateness` seconds after they began. ahead: music that is known before it sounds (the
    timeline, a loop), `delta` seconds ahead, and what of it has sounded. chart: BEAT and CHORD notes. start, end:
    seconds; what is written has start <= onset < end. since: seconds; what began before may be missing. cold: nothing
    began before. grid: places a beat where what is written may begin; None: anywhere. turns: places a beat where chords
    may change that nobody gave. phrase: seconds of a bar line near the start at which a phrase begins. rest: seconds of
    the last moment, where the music comes to its end. polyphony: notes at once for each instrument that can play as
    many; None: free. What else there is is as in Infill; temperature and top_p are as in Sampling.
    """

    start: float
    end: float
    instruments: tuple[int, ...]
    own: Notes = field(default_factory=none)
    late: Notes = field(default_factory=none)
    ahead: Notes = field(default_factory=none)
    chart: Notes = field(default_factory=none)
    since: float = -np.inf
    cold: bool = True
    pitches: np.ndarray | None = None
    polyphony: int | None = None
    density: int | None = None
    grid: int | None = None
    turns: int = 2
    phrase: float | None = None
    rest: float | None = None
    chord_lock: bool = False
    lateness: float = s.LATENESS / s.STEPS
    delta: float = 5.0
    style: str = "unknown"
    temperature: float = 1.0
    top_p: float = 0.95
    ranged: bool = False
    unheard: tuple[int, ...] = ()

    @property
    def player(self) -> Notes:
        return self.late + self.ahead

    @property
    def known(self) -> Notes:
        return self.own + self.player


@dataclass(frozen=True)
class Rows:
    """The stream of a scene up to its start. controls: all that are known, quantised, in the order in which they stand;
    those that are not in `rows` yet come last and are due `delta` steps before their onset."""

    rows: np.ndarray
    controls: np.ndarray
    chart: s.Chart
    delta: int
    unheard: tuple[int, ...]


def rows_of(
    scene: Scene, origin: float, shift: int, cold: bool, *, reads_chart: bool = True, looks: bool = True
) -> Rows:
    """The rows from `origin` (seconds) on, `shift` semitones up. cold: the music begins there. reads_chart: the model
    is told of beats and chords, and of the instruments that may be written. looks: the rows end in a look at the
    scene's start.

    Music that is known ahead stands where the rule of anticipation puts it; a late note stands after the first row that
    is `lateness` or more after its onset. The look is the last of the rows, and late notes that are known by then come
    with it.
    """
    heard, ahead = (
        s.quantise(n[n.onset >= origin].without_instruments(scene.unheard).transpose(shift), origin, reads_chart)
        for n in (scene.late, scene.ahead)
    )
    own = scene.own[scene.own.onset >= origin]
    events = s.quantise(own[own.instrument != BEAT].transpose(shift), origin, reads_chart)
    begin = round((scene.start - origin) * s.STEPS)
    late, early = round(scene.lateness * s.STEPS), round(scene.delta * s.STEPS)
    header = s.Header(
        delta=early if len(ahead) else -late,
        instruments=scene.instruments if reads_chart else None,
        style=s.STYLES.index(scene.style),
        cold=cold,
    )
    sheet = scene.chart.without_instruments(scene.unheard)
    chart = s.Chart.of(sheet.transpose(shift) if reads_chart else none(), origin)
    told = np.concatenate([np.minimum(heard[:, 0] + late, begin), ahead[:, 0] - early])
    controls = np.concatenate([heard, ahead])
    order = np.lexsort((controls[:, 2], controls[:, 1], controls[:, 0]))
    controls, told = controls[order], told[order]
    look = (begin,) if looks else ()
    rows = s.interleave(events, controls, chart, header, told=told, looks=look, until=begin - s.REST)
    given = told <= rows[-1, s.CLOCK]
    return Rows(rows, np.concatenate([controls[given], controls[~given]]), chart, header.delta, scene.unheard)
