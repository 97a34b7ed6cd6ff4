"""How instruments sound: waves of every program, strokes of every drum. Knows no notes, no levels and no files."""

from __future__ import annotations

from collections.abc import Callable
from functools import lru_cache
from typing import NamedTuple

import numpy as np


class Drum(NamedTuple):
    """A tone that falls, and a band of noise; both decay, in seconds."""

    pitches: tuple[int, ...]  # of GM's percussion, from the lowest tuning to the highest
    hertz: float
    fall: float  # how far above `hertz` the tone begins, as a share of it
    decay: float
    level: float
    noise_from: float  # Hz
    noise_to: float
    noise_decay: float
    noise_level: float


DRUM_SOUNDS = {
    "cymbal": Drum((49, 57, 52, 55), 0, 0, 1, 0, 3500, 16000, 0.40, 0.22),
    "ride": Drum((51, 53, 59), 2900, 0, 0.25, 0.04, 5000, 14000, 0.20, 0.12),
    "open hat": Drum((46,), 0, 0, 1, 0, 6500, 16000, 0.15, 0.20),
    "hat": Drum((44, 42), 0, 0, 1, 0, 7000, 16000, 0.028, 0.22),
    "shaker": Drum((54, 69, 70, 82), 0, 0, 1, 0, 5000, 12000, 0.045, 0.16),
    "block": Drum((65, 66, 67, 68, 77, 76, 75, 56, 81, 80), 950, 0, 0.05, 0.20, 1500, 4000, 0.01, 0.08),
    "rim, clap": Drum((37, 39), 420, 0, 0.02, 0.20, 900, 4500, 0.055, 0.34),
    "conga": Drum((64, 63, 62, 61, 60), 230, 0.15, 0.09, 0.45, 400, 2500, 0.012, 0.15),
    "tom": Drum((41, 43, 45, 47, 48, 50), 110, 0.6, 0.16, 0.70, 200, 1800, 0.03, 0.15),
    "snare": Drum((38, 40), 185, 0.5, 0.07, 0.45, 700, 9000, 0.085, 0.40),
    "kick": Drum((35, 36), 48, 2.2, 0.13, 1.00, 900, 4000, 0.006, 0.16),
}
_DRUM_OF = {pitch: name for name, drum in DRUM_SOUNDS.items() for pitch in drum.pitches}


class _Timbre(NamedTuple):
    """How the programs from `first` on sound. Harmonic k has the strength k ** -slope, times `even` if k is even."""

    first: int
    level: float
    slope: float
    even: float
    body: float  # Hz: partials below it are weak, as in a box too small for them
    attack: float  # seconds
    decay: float  # 1 / second
    mellowing: float = 0  # 1 / second: how fast the upper harmonics go
    vibrato: float = 0  # relative depth of the frequency
    chorus: float = 0  # relative detuning of a second voice


_TIMBRES = (
    _Timbre(0, 1.0, 1.3, 1.0, 120, 0.003, 0.9, 1.5),  # piano
    _Timbre(8, 2.0, 2.6, 0.3, 120, 0.002, 2.0, 3.0),  # chromatic percussion
    _Timbre(16, 1.3, 1.4, 0.8, 100, 0.012, 0.0, 0.0, 0.0, 0.0020),  # organ
    _Timbre(24, 1.6, 1.2, 0.9, 130, 0.003, 1.5, 2.5),  # guitar
    _Timbre(29, 1.2, 0.8, 1.0, 180, 0.005, 0.2, 0.2, 0.0, 0.0030),  # overdriven guitar
    _Timbre(31, 2.5, 1.4, 0.4, 130, 0.003, 1.2, 2.0),  # guitar harmonics
    _Timbre(32, 1.9, 1.3, 0.9, 50, 0.006, 0.8, 1.5),  # bass
    _Timbre(40, 1.8, 1.2, 1.0, 180, 0.060, 0.1, 0.0, 0.0030),  # solo strings
    _Timbre(45, 1.6, 1.5, 0.8, 100, 0.004, 2.2, 3.0),  # pizzicato, harp, timpani
    _Timbre(48, 1.3, 1.3, 0.9, 150, 0.080, 0.1, 0.0, 0.0015, 0.0040),  # ensemble
    _Timbre(52, 1.5, 1.6, 0.7, 150, 0.080, 0.1, 0.0, 0.0030, 0.0040),  # voices
    _Timbre(56, 1.6, 1.0, 1.0, 200, 0.030, 0.3, 0.3, 0.0015),  # brass
    _Timbre(64, 1.8, 1.1, 0.4, 200, 0.030, 0.2, 0.0, 0.0020),  # reed
    _Timbre(72, 1.9, 2.2, 0.7, 150, 0.040, 0.1, 0.0, 0.0030),  # pipe
    _Timbre(80, 1.5, 1.1, 0.7, 120, 0.006, 0.3, 0.3, 0.0015, 0.0030),  # synth lead
    _Timbre(88, 1.1, 1.5, 0.9, 120, 0.150, 0.05, 0.0, 0.0015, 0.0050),  # synth pad
    _Timbre(96, 1.5, 1.6, 0.8, 120, 0.050, 0.4, 0.4, 0.0015, 0.0040),  # synth effects
    _Timbre(104, 2.0, 1.0, 0.9, 150, 0.003, 2.0, 2.5),  # plucked folk instruments
    _Timbre(112, 1.6, 1.8, 0.5, 120, 0.002, 4.0, 3.0),  # percussive
    _Timbre(120, 0.6, 2.0, 0.6, 120, 0.040, 0.5, 0.5),  # sound effects
)
_TABLE = 4096  # samples of one period of a wave


def wave_shape(program: int, rate: int) -> Callable[[np.ndarray], np.ndarray]:
    """The `wave` that pretty_midi calls once per note with the note's phase, in radians per sample. rate: Hz.

    It shapes the whole note: timbre, attack, vibrato, and the timbre's decay in place of pretty_midi's exp(-t).
    """
    timbre = [timbre for timbre in _TIMBRES if timbre.first <= program][-1]

    def shape(phase: np.ndarray) -> np.ndarray:
        if len(phase) < 2:
            return np.zeros_like(phase)
        hertz = float(np.clip((phase[1] - phase[0]) * rate / (2 * np.pi), 8, 0.45 * rate))
        time = np.arange(len(phase)) / rate
        if timbre.vibrato and len(phase) > 0.25 * rate:
            depth = timbre.vibrato * hertz / 5.2 * np.clip((time - 0.15) / 0.4, 0, 1)
            phase = phase + depth * np.sin(2 * np.pi * 5.2 * time)
        soft, bright = _period(timbre, round(12 * np.log2(hertz / 440)), rate)
        place = (phase * (_TABLE / (2 * np.pi))).astype(np.int64) & (_TABLE - 1)
        higher = float(np.clip(hertz / 330, 0.3, 6)) ** 0.5  # short strings decay faster
        total = bright[place] * np.exp(-timbre.mellowing * higher * time) if timbre.mellowing else bright[place]
        total = total + soft[place]
        if timbre.chorus:
            place = (phase * ((1 + timbre.chorus) * _TABLE / (2 * np.pi))).astype(np.int64) & (_TABLE - 1)
            total = 0.9 * total + 0.3 * (soft[place] + bright[place])  # weaker: it shimmers, but never cancels
        return total * np.exp((1 - timbre.decay * higher) * np.minimum(time, 60)) * np.minimum(1, time / timbre.attack)

    return shape


@lru_cache(1024)
def _period(timbre: _Timbre, semitone: int, rate: int) -> tuple[np.ndarray, np.ndarray]:
    """One period of a wave at a pitch (semitones from 440 Hz) in two layers: what stays of it, what fades sooner."""
    hertz = 440 * 2 ** (semitone / 12)
    k = np.arange(1, max(2, min(_TABLE // 8, int(min(0.45 * rate, 12000) / hertz) + 1)))
    partial = (k * hertz / timbre.body) ** 2
    levels = k**-timbre.slope * np.where(k % 2 == 0, timbre.even, 1) * partial / (1 + partial)
    levels *= 1 / (1 + (k * hertz / 4500) ** 4)
    levels *= timbre.level / np.sqrt(np.sum(levels**2))
    layers = np.zeros((2, _TABLE // 2 + 1), complex)
    layers[0, k] = levels / k
    layers[1, k] = levels - levels / k
    soft, bright = np.fft.irfft(-0.1j * _TABLE * layers)
    return soft, bright


def drum_name(pitch: int) -> str:
    """The member of DRUM_SOUNDS that sounds a GM percussion pitch; what GM lists beyond it is a shaker."""
    return _DRUM_OF.get(pitch, "shaker")


def stroke(pitch: int, rate: int) -> np.ndarray:
    """Float32 samples of one stroke on a GM percussion pitch. rate: Hz."""
    drum = DRUM_SOUNDS[drum_name(pitch)]
    pitches = drum.pitches
    time = np.arange(int(min(1.1, 7 * max(drum.noise_decay, drum.decay if drum.level else 0)) * rate)) / rate
    tuning = 2 ** ((pitches.index(pitch) - len(pitches) / 2) / 8) if pitch in pitches else 1.0
    fallen = drum.fall * 0.03 * (1 - np.exp(-time / 0.03))  # within 30 ms
    phase = 2 * np.pi * drum.hertz * tuning * (time + fallen)
    hiss = np.random.default_rng(pitch).standard_normal(len(time))  # the same drum always sounds the same
    spectrum, frequency = np.fft.rfft(hiss), np.fft.rfftfreq(len(time), 1 / rate)
    spectrum[(frequency < drum.noise_from) | (frequency > drum.noise_to)] = 0
    hiss = np.fft.irfft(spectrum, len(time))
    hiss /= max(float(hiss.std()), 1e-9)
    sound = drum.level * np.sin(phase) * np.exp(-time / drum.decay)
    sound = sound + drum.noise_level * hiss * np.exp(-time / drum.noise_decay)
    sound *= np.minimum(1, time / 0.001) * np.minimum(1, (time[-1] - time) / 0.02)  # no clicks at either end
    return sound.astype(np.float32)
