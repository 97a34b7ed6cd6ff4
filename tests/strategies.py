"""Hypothesis strategies for music: random Notes, tempo maps and streams, with the coincidences that break programs."""

import numpy as np
from hypothesis import strategies as st

from anticipation.model import stream as s
from anticipation.music.notes import BEAT, CHORD, DRUMS, Notes
from anticipation.music.tempo import TempoMap

# Half the times lie on a coarse grid, so that notes start together, touch, and repeat where another ends.
times = st.integers(0, 80).map(lambda n: n / 4) | st.floats(0, 20)
lengths = st.integers(1, 8).map(lambda n: n / 4) | st.floats(0.001, 8)


@st.composite
def notes(draw, max_size: int = 40, instruments=None, times=times, lengths=lengths) -> Notes:
    """Sorted Notes of up to `max_size` notes; `instruments` is a strategy (default: five instruments and drums)."""
    instruments = st.sampled_from([0, 24, 33, 48, 127, DRUMS]) if instruments is None else instruments
    pitches = st.integers(58, 62) | st.integers(0, 127)
    row = st.tuples(times, lengths, pitches, instruments, st.integers(1, 127))
    return Notes.of(draw(st.lists(row, max_size=max_size)))


@st.composite
def tempo_maps(draw) -> TempoMap:
    """Tempo maps of up to five tempos (20-400 bpm) and three metres within about a minute."""
    ppqn = draw(st.sampled_from([24, 96, 220, 480, 960, 32767]))
    tick = st.integers(0, 100 * ppqn)
    tempos = draw(st.lists(st.tuples(tick, st.integers(150_000, 3_000_000)), max_size=5))
    meters = draw(st.lists(st.tuples(tick, st.integers(1, 13), st.sampled_from([1, 2, 4, 8, 16])), max_size=3))
    return TempoMap(ppqn, tuple(tempos), tuple(meters))


def chords(max_size: int = 8):
    """Chord symbols as Notes."""
    return notes(max_size=max_size, instruments=st.just(CHORD)).map(lambda n: n.replace(pitch=np.minimum(n.pitch, 120)))


@st.composite
def streams(draw, max_size: int = 40) -> tuple:
    """(events, controls, chart, header, until): what `interleave` takes, with chords among the events, in the chart, or
    nowhere, resting until after all of it or not."""
    events, chart = draw(notes(max_size)), draw(notes(20, instruments=st.just(BEAT)))
    chart = chart.replace(pitch=chart.pitch % 16)
    if draw(st.booleans()):
        events += draw(chords())
    else:
        chart += draw(chords())
    told = draw(st.none() | st.sampled_from([(0,), (0, 24, DRUMS)]))
    header = s.Header(draw(st.integers(-100, 1000)), told, draw(st.integers(0, 6)), draw(st.booleans()))
    until = draw(st.sampled_from([0, 40 * s.STEPS]))
    return s.quantise(events), s.quantise(draw(notes(max_size))), s.Chart.of(chart), header, until
