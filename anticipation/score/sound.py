"""A piece made audible as a WAV file. Knows pretty_midi and FluidSynth; nothing of pictures, models or requests."""

from __future__ import annotations

import os
import shutil
import subprocess
import tempfile
import wave
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np

from ..errors import RequestError
from ..files import replacing
from .timbres import stroke, wave_shape

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
    FluidSynth, a rate outside 8,000-96,000 or more than an hour of music; FileError where `path` cannot be written.
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

    shape = wave_shape(instrument.program, rate)
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


def _add_drums(mix: np.ndarray, notes: list, gains: np.ndarray, rate: int) -> None:
    """pretty_midi is silent on drums: each drum is made once, of a falling tone and a band of noise, and added."""
    made: dict[int, np.ndarray] = {}
    for start, _, pitch, loudness in notes:
        if pitch not in made:
            made[pitch] = stroke(pitch, rate)[:, None] * gains
        first = int(start * rate)
        sound = made[pitch][: len(mix) - first]
        mix[first : first + len(sound)] += sound * np.float32(0.55 * loudness)


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


def check_soundfont(soundfont: Path) -> None:
    """Raises RequestError for a missing or foreign one. FluidSynth itself would go on in silence."""
    try:
        with open(soundfont, "rb") as file:
            head = file.read(12)
    except OSError as error:
        raise RequestError(f"cannot read soundfont {soundfont}: {error.strerror}") from error
    if head[:4] != b"RIFF" or head[8:] not in (b"sfbk", b"DLS "):
        raise RequestError(f"{soundfont} is not a soundfont (.sf2 or .sf3)")


def _fluidsynth(midi: Any, soundfont: Path, rate: int) -> np.ndarray:
    """Float32 frames [samples, 2] from the `fluidsynth` program, or from pyfluidsynth through pretty_midi."""
    check_soundfont(soundfont)
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
        done = subprocess.run([program, *options, str(soundfont), score], stdin=subprocess.DEVNULL,
                              capture_output=True, text=True, errors="replace")  # fmt: skip
        if done.returncode or not os.path.exists(sound):
            reason = (done.stderr.strip().splitlines() or [f"exit code {done.returncode}"])[-1]
            raise RequestError(f"fluidsynth failed: {reason}")
        with wave.open(sound, "rb") as file:
            frames = np.frombuffer(file.readframes(file.getnframes()), "<i2").reshape(-1, file.getnchannels())
    return (frames[:, :2] / np.float32(32768)).astype(np.float32)
