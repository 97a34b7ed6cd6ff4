"""Endings: where new parts come to rest, because the piece does. Knows notes; draws nothing.

While the last known note is held, people begin little, and end with it; a model goes on until the span is over, as it
cannot see that nothing follows (train/LOG.md). A piece that is to go on from its end comes to rest again as it did.
"""

from __future__ import annotations

from dataclasses import dataclass, field

import numpy as np

from ..music.grid import moment, position
from ..music.notes import DRUMS, Notes, moments

HELD = 1.8  # times the usual time between onsets: so long a last note is an end
SHORT = 4  # bars: a piece that goes on for fewer does not come to rest again
LATE = 0.05  # seconds by which a piece may end after the last known note, and notes begin after the last moment


@dataclass(frozen=True)
class Ending:
    """last: seconds at which the last notes begin. until: seconds until which they are held. closes: how many notes
    each instrument begins there, if that is known."""

    last: float
    until: float
    closes: dict[int, int] = field(default_factory=dict)

    def held(self, notes: Notes) -> Notes:
        """Notes of which those that begin last, and those that sound right after, all end with the piece, but for
        drums."""
        stay = (notes.onset > self.last - LATE) | (notes.offset > self.last + 2 * LATE)
        stay &= notes.instrument < DRUMS
        return notes.replace(duration=np.where(stay, self.until - notes.onset, notes.duration))


def ending_of(known: Notes, start: float, end: float, piece_end: float) -> Ending | None:
    """The end of a piece that ends (at `piece_end`, seconds) within the span with known notes that are held: new parts
    begin their last notes with these or, if a bar begins meanwhile, there. Where the piece has ended so before the
    span, the end of the span (`_once_more`). None where it does not end so, or no beats are known."""
    heard, beats = known.audible, known.beats
    when = moments(heard)
    if len(when) < 3 or heard.end < piece_end - LATE or not len(beats):
        return None
    if heard.end - when[-1] < HELD * np.median(np.diff(when)):
        return None
    if start > piece_end - LATE:
        return _once_more(heard, beats, start, end)
    if not start <= when[-1] < end:
        return None
    beat = float(beats.duration[max(np.searchsorted(beats.onset, when[-1] + LATE) - 1, 0)])
    bars = beats.onset[beats.pitch == 0]
    bars = bars[(bars > when[-1]) & (bars < min(end, heard.end - beat + LATE))]
    return Ending(float(max(when[-1], bars.max(initial=0.0))), heard.end)


def _once_more(heard: Notes, beats: Notes, start: float, end: float) -> Ending | None:
    """The last notes are as many as those that the piece has ended on, begin at the same place of a bar, the last one
    of the span that leaves time for them, and are held as long. heard: known notes."""
    last, lines = float(heard.onset[-1]), beats.onset[beats.pitch == 0]
    if ((lines > start - LATE) & (lines < end - LATE)).sum() < SHORT:
        return None
    place = position(np.array([last]), beats) - position(lines[lines < last + LATE][-1:], beats)
    when = moment(position(lines, beats) + place, beats)
    when = when[(when > start) & (when + heard.end - last < end + LATE)]
    final = heard[heard.onset > last - LATE]
    closes = {i: int((final.instrument == i).sum()) for i in final.pitched.instruments}
    return Ending(float(when[-1]), float(min(when[-1] + heard.end - last, end)), closes) if len(when) else None
