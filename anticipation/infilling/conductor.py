"""The conductor: which beats, chords and places new notes go by, and which keys they leave to other hands. Knows
scores; knows no models, and writes nothing."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from ..errors import RequestError
from ..model.stream import FUTURE, HISTORY
from ..music.beats import hear
from ..music.grid import lag_of, places, usual_division
from ..music.harmony import estimate_chords
from ..music.notes import Notes
from ..music.playable import KEYBOARDS
from ..music.symbols import parse_chart
from ..music.tempo import TempoMap
from ..score.midi import Score
from ..score.parts import Part
from . import casting
from .habits import on_free_keys

# Two parts count as the hands of one player as long as no more than this share of the one's notes fall on keys that the
# other strikes or holds. Of people's files with just two such parts, 97 % have less (92 % less than 0.01); where there
# is more, the parts are layers of a sound, a choir, or a tune that is also sung.
SHARED = 0.05
OFF_BEAT = "the beats of the file are ignored: its notes do not keep to them, or are too few to tell"
LAG = "the notes are {:.0f} ms {} the beats of the file all along: so are new ones"
HEARD = "the notes do not keep to the beats of the file: new ones go by those heard in them, about {:.0f} a minute"


@dataclass(frozen=True)
class Conductor:
    """tempo: of the beats that count; None where there are none. remarks: what to tell the user of them, one line each.
    lag: by how many seconds the score's notes are behind these beats throughout; negative where they are ahead."""

    tempo: TempoMap | None
    remarks: tuple[str, ...] = ()
    lag: float = 0.0

    @classmethod
    def of(cls, score: Score, start: float, end: float, grid: str) -> Conductor:
        """The file's beats count if its notes keep to them (also those that give way), or if `grid` is a number of
        places in them. Else the beats count that are heard in the notes around a span (seconds), if any are."""
        lag = lag_of(score.notes, score.beats()) if grid in ("auto", "free") else 0.0
        if lag:
            return cls(score.tempo, (LAG.format(1000 * abs(lag), "behind" if lag > 0 else "ahead of"),), lag)
        if lag is not None:
            return cls(score.tempo)
        if grid == "free":
            return cls(None)
        heard = hear(score.notes.between(start - HISTORY, end + HISTORY))
        if not len(heard):
            return cls(None, (OFF_BEAT,))
        return cls(TempoMap.following(heard), (HEARD.format(60 / np.median(heard.duration)),))

    def on_beat(self, known: Notes, score: Score, end: float) -> Notes:
        """Known notes of a score, moved onto the beats by the lag, together with these beats: those of the piece or,
        where it is to go on, up to what a model is shown after `end` (seconds)."""
        known = _moved(known, -self.lag).sorted()
        if self.tempo is None:
            return known
        further = end > max(score.end, score.tempo.bars_on(score.end, 0)) + 1e-6
        return known + self.tempo.beats(end + FUTURE if further else score.length)

    def as_played(self, notes: Notes) -> Notes:
        """New notes, as far behind the beats as the score's are: undoes the move of `on_beat`."""
        return _moved(notes, self.lag)

    def places(self, known: Notes, start: float, end: float, grid: str) -> np.ndarray | None:
        """Seconds where notes may begin, by the beats among the known notes and by `grid` (see Options); None:
        anywhere."""
        beats = known.beats
        if grid == "free" or self.tempo is None or not len(beats):
            return None
        near = known.audible.between(start - HISTORY, end + FUTURE)
        if grid != "auto":
            return places(near, beats, int(grid))
        divisions = self.tempo.divisions(beats.onset)
        return places(near, beats, divisions[:, usual_division(near, beats, divisions)])

    def beside(self, score: Score, chosen: Sequence[Part], written: list[int]) -> Notes:
        """The notes of other hands: of parts that are not chosen but play a keyboard that is written. A part whose keys
        the chosen ones share (SHARED) is no hand beside them, but plays on a keyboard of its own."""
        hands = score.notes[:0]
        if not chosen:
            return hands
        own, keyboards = score.notes[casting.mask(chosen)], set(written) & set(KEYBOARDS)
        for part in score.parts:
            if part not in chosen and part.instrument in keyboards:
                mine, theirs = own.of_instruments([part.instrument]), score.notes[part.mask]
                if len(on_free_keys(mine, theirs)) >= (1 - SHARED) * len(mine):
                    hands += theirs
        return _moved(hands, -self.lag)

    def chords(self, score: Score, asked: str, start: float, end: float) -> Notes | None:
        """The chords that the musician gives with --chords: a chart, whose first cell is the bar that `start` (seconds)
        lies in, or the next one where that bar is as good as over; or the part that plays them. None where there are to
        be none, or planned ones. Raises RequestError."""
        tempo = self.tempo or score.tempo
        if asked in ("auto", "none"):
            return None
        if "|" in asked:
            bars = tempo.bar_seconds(end)
            bars = bars[: np.searchsorted(bars, end - 1e-3) + 1]  # none that begins where the span ends
            bars = bars[np.searchsorted(bars, tempo.bars_within(start, end)[0] - 1e-6) :]
            return parse_chart(asked, bars, tempo.beats(end).onset)
        try:
            notes = _moved(score.notes[score.part(asked).mask], -self.lag)
        except RequestError as error:
            raise RequestError(f"{error}; or write chords between strokes: '| C | Am |'") from None
        return estimate_chords(notes, tempo.beats(score.length))


def within(chords: Notes, tempo: TempoMap, start: float, end: float) -> Notes:
    """The chords that sound in a span, from the beginning of its first bar to its end (seconds)."""
    first = tempo.bars_within(start, end)[0]
    some = chords[(chords.offset > first) & (chords.onset < end)]
    onset = np.maximum(some.onset, first)
    return some.replace(onset=onset, duration=np.minimum(some.offset, end) - onset)


def _moved(notes: Notes, seconds: float) -> Notes:
    return notes.replace(onset=np.maximum(notes.onset + seconds, 0.0))
