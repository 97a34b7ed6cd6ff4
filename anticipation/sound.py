"""A piece made audible as a WAV file. Knows pretty_midi and FluidSynth; nothing of pictures, models or requests."""

from __future__ import annotations

import os
import shutil
import subprocess
import tempfile
import wave
from collections.abc import Callable, Iterator
from functools import lru_cache
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

from .errors import RequestError
from .files import replacing


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
_WINDOW = 10  # whole seconds that are synthesized at once: bounds the memory, keeps windows on sample boundaries
_RELEASE = 0.1  # seconds: pretty_midi fades the last 0.1 s of a note; we let it begin where the note ends
_LONGEST = 3600  # seconds: an hour takes 1.3 GB of memory
_TAIL = 1.2  # seconds of silence for the last note to ring into


def synthesize(
    music: Any,
    path: str | os.PathLike[str],
    *,
    soundfont: str | os.PathLike[str] | None = None,
    sample_rate: int = 44100,
) -> None:
    """Write a Score or a pretty_midi.PrettyMIDI as a 16-bit stereo WAV at `path`; peaks stay 1 dB below full scale.

    By default pretty_midi's synthesizer with our wave shapes, and drums of our own; with the path of a `soundfont`
    (.sf2, .sf3), FluidSynth. sample_rate: Hz. Raises RequestError for a missing or foreign soundfont, a missing
    FluidSynth, a rate outside 8,000-96,000 or more than an hour of music; MidiError where `path` cannot be written.
    """
    if not 8000 <= sample_rate <= 96000:
        raise RequestError(f"sample rate {sample_rate}: choose one from 8000 to 96000 Hz")
    midi = music.to_pretty_midi() if hasattr(music, "to_pretty_midi") else music
    if midi.get_end_time() > _LONGEST:
        raise RequestError(f"{midi.get_end_time() / 60:.0f} minutes are too long to be sounded: the limit is 60")
    with replacing(path) as temporary, open(temporary, "wb") as file, wave.open(file, "wb") as out:
        out.setparams((2, 2, sample_rate, 0, "NONE", ""))  # channels, bytes per sample, rate
        if soundfont is None:
            mix = _play(midi, sample_rate)
            _add_room(mix, sample_rate)
        else:
            mix = _fluidsynth(midi, Path(soundfont), sample_rate)
        for block in _mastered(mix, sample_rate):
            out.writeframes(block.tobytes())


# ---- voices --------------------------------------------------------------------------------------------------------


def _play(midi: Any, rate: int) -> np.ndarray:
    """Float32 frames [samples, 2] of all instruments, dry, at no particular level."""
    mix = np.zeros((int((midi.get_end_time() + _TAIL) * rate) + 1, 2), np.float32)
    pitched = sum(not instrument.is_drum for instrument in midi.instruments)
    seat = 0
    for instrument in midi.instruments:
        if not instrument.notes:
            continue
        side = 0.0 if instrument.is_drum or pitched < 2 else 0.5 * seat / (pitched - 1) - 0.25  # seats on a stage
        seat += not instrument.is_drum
        pan = _controller(instrument, 10)(instrument.notes[0].start, None)
        angle = (1 + (side if pan is None else (pan - 64) / 80)) * np.pi / 4
        gains = np.array([np.cos(angle), np.sin(angle)], np.float32)
        notes = _as_played(instrument)
        if instrument.is_drum:
            _add_drums(mix, notes, gains, rate)
        else:
            _add_pitched(mix, notes, instrument, gains, rate)
    return mix


def _controller(instrument: Any, number: int) -> Callable[[float, Any], Any]:
    """The value of a controller at a time in seconds, or the given default before its first change."""
    changes = sorted((c.time, c.value) for c in instrument.control_changes if c.number == number)
    times = [time for time, _ in changes]

    def value(time: float, default: Any) -> Any:
        i = int(np.searchsorted(times, time + 0.005, side="right"))  # 5 ms: a change sent with the note counts
        return changes[i - 1][1] if i else default

    return value


def _as_played(instrument: Any) -> list[tuple[float, float, int, float]]:
    """(start, end, pitch, loudness) with volume, expression and sustain pedal applied, which pretty_midi leaves out."""
    volume, expression = _controller(instrument, 7), _controller(instrument, 11)
    pedal = sorted((c.time, c.value >= 64) for c in instrument.control_changes if c.number == 64)
    times, ups = [time for time, _ in pedal], np.array([time for time, down in pedal if not down])
    played = []
    for note in instrument.notes:
        gain = volume(note.start, 100) / 100 * expression(note.start, 127) / 127
        end, i = note.end, int(np.searchsorted(times, note.end, side="right"))
        if i and pedal[i - 1][1]:
            later = ups[ups >= end]
            end = min(float(later[0]) if len(later) else end, end + 6.0)
        played.append((note.start, end, note.pitch, gain * (note.velocity / 127) ** 1.4))
    return sorted(played)


def _add_pitched(mix: np.ndarray, notes: list, instrument: Any, gains: np.ndarray, rate: int) -> None:
    """Window by window through pretty_midi's Instrument.synthesize, so that an hour needs little more than its mix."""
    import pretty_midi

    shape = _wave_shape(instrument.program, rate)
    bends = sorted(instrument.pitch_bends, key=lambda bend: bend.time)
    for window in range(0, int(notes[-1][0]) + 1, _WINDOW):
        part = pretty_midi.Instrument(instrument.program)
        part.notes = [
            pretty_midi.Note(loudness, pitch, start - window, end - window + _RELEASE)
            for start, end, pitch, loudness in notes
            if window <= start < window + _WINDOW
        ]
        if not part.notes:
            continue
        stop = window + part.get_end_time()
        before = [bend.pitch for bend in bends if bend.time <= window][-1:]
        part.pitch_bends = [pretty_midi.PitchBend(pitch, 0) for pitch in before if pitch]
        part.pitch_bends += [pretty_midi.PitchBend(b.pitch, b.time - window) for b in bends if window < b.time < stop]
        sound = part.synthesize(fs=rate, wave=shape)[: len(mix) - window * rate]
        mix[window * rate : window * rate + len(sound)] += sound[:, None].astype(np.float32) * gains


def _wave_shape(program: int, rate: int) -> Callable[[np.ndarray], np.ndarray]:
    """The `wave` that pretty_midi calls once per note with the note's phase, in radians per sample.

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


def _add_drums(mix: np.ndarray, notes: list, gains: np.ndarray, rate: int) -> None:
    """pretty_midi is silent on drums: each drum is made once, of a falling tone and a band of noise, and added."""
    made: dict[int, np.ndarray] = {}
    for start, _, pitch, loudness in notes:
        if pitch not in made:
            made[pitch] = _drum(pitch, rate)[:, None] * gains
        first = int(start * rate)
        sound = made[pitch][: len(mix) - first]
        mix[first : first + len(sound)] += sound * np.float32(0.55 * loudness)


def drum_name(pitch: int) -> str:
    """The member of DRUM_SOUNDS that sounds a GM percussion pitch; what GM lists beyond it is a shaker."""
    return _DRUM_OF.get(pitch, "shaker")


def _drum(pitch: int, rate: int) -> np.ndarray:
    """Float32 samples of one stroke on a GM percussion pitch."""
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


# ---- room and level ------------------------------------------------------------------------------------------------


def _add_room(mix: np.ndarray, rate: int) -> None:
    """A short room in place: convolution with decaying noise, block by block. What would ring past the end is cut."""
    length, block = int(0.8 * rate), 1 << 17
    time = np.arange(length) / rate
    size = block + length
    frequency = np.fft.rfftfreq(size, 1 / rate)
    low, high = (frequency / 200) ** 2, (frequency / 3500) ** 2
    colour = low / (1 + low) / (1 + high)  # neither mud nor hiss
    for channel in range(2):
        echo = np.random.default_rng(channel).standard_normal(length) * np.exp(-time / 0.12) * (time > 0.012)
        response = (np.fft.rfft(echo, size) * colour * (0.16 / np.sqrt(0.06 * rate))).astype(np.complex64)
        carry = np.zeros(size, np.float32)
        for start in range(0, len(mix), block):
            dry = mix[start : start + block, channel]
            carry += np.fft.irfft(np.fft.rfft(dry, size) * response, size)
            dry += carry[: len(dry)]
            carry = np.concatenate([carry[block:], np.zeros(block, np.float32)])


def _mastered(mix: np.ndarray, rate: int) -> Iterator[np.ndarray]:
    """Blocks of int16 frames: the loud passages at -4 dB, rare peaks above rounded off below -1 dB."""
    sample = np.abs(mix[:: max(1, len(mix) // 2_000_000)]).max(axis=1)
    loud = sample[sample > 0.02 * sample.max(initial=0)]
    gain = 0.63 / float(np.percentile(loud, 99.7)) if len(loud) else 0.0
    for start in range(0, len(mix), 30 * rate):
        block = mix[start : start + 30 * rate] * np.float32(gain)
        over = np.maximum(np.abs(block) - 0.63, 0)
        level = np.minimum(np.abs(block), 0.63) + 0.26 * np.tanh(over / 0.26)
        yield np.rint(np.sign(block) * level * 32767).astype("<i2")


# ---- FluidSynth ----------------------------------------------------------------------------------------------------


def _fluidsynth(midi: Any, soundfont: Path, rate: int) -> np.ndarray:
    """Float32 frames [samples, 2] from the `fluidsynth` program, or from pyfluidsynth through pretty_midi."""
    try:
        with open(soundfont, "rb") as file:
            head = file.read(12)
    except OSError as error:
        raise RequestError(f"cannot read soundfont {soundfont}: {error.strerror}") from error
    if head[:4] != b"RIFF" or head[8:] not in (b"sfbk", b"DLS "):  # FluidSynth itself would go on in silence
        raise RequestError(f"{soundfont} is not a soundfont (.sf2 or .sf3)")
    program = shutil.which("fluidsynth")
    if program:
        return _run_fluidsynth(program, midi, soundfont.resolve(), rate)
    try:
        import fluidsynth
    except ImportError:
        raise RequestError(
            "a soundfont needs FluidSynth: run `apt install fluidsynth`, `brew install fluid-synth` or "
            "`choco install fluidsynth`"
        ) from None
    player = fluidsynth.Synth(samplerate=float(rate))
    bank = player.sfload(str(soundfont))
    mix = np.zeros((int((midi.get_end_time() + _TAIL) * rate) + rate, 2), np.float32)
    for instrument in midi.instruments:
        sound = instrument.fluidsynth(synthesizer=player, sfid=bank)[: len(mix)]
        mix[: len(sound)] += sound[:, None].astype(np.float32)
    player.delete()
    return mix


def _run_fluidsynth(program: str, midi: Any, soundfont: Path, rate: int) -> np.ndarray:
    with tempfile.TemporaryDirectory() as folder:
        score, sound = os.path.join(folder, "in.mid"), os.path.join(folder, "out.wav")
        midi.write(score)
        options = ["-ni", "-q", "-g", "0.3", "-r", str(rate), "-T", "wav", "-O", "s16", "-F", sound]
        done = subprocess.run(
            [program, *options, str(soundfont), score], stdin=subprocess.DEVNULL, capture_output=True, text=True
        )
        if done.returncode or not os.path.exists(sound):
            reason = (done.stderr.strip().splitlines() or [f"exit code {done.returncode}"])[-1]
            raise RequestError(f"fluidsynth failed: {reason}")
        with wave.open(sound, "rb") as file:
            frames = np.frombuffer(file.readframes(file.getnframes()), "<i2").reshape(-1, file.getnchannels())
    return (frames[:, :2] / np.float32(32768)).astype(np.float32)
