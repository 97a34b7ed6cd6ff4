"""The sound: energy where notes are and silence elsewhere, drums audible, never clipped, errors of one line."""

import os
import runpy
import sys
import wave
from pathlib import Path

import numpy as np
import pretty_midi
import pytest

from anticipation.errors import FileError, RequestError
from anticipation.music.notes import DRUMS, Notes
from anticipation.score import sound
from anticipation.score.midi import Score, read

EXAMPLES = Path(__file__).parents[1] / "examples"
RATE = 16000


def heard(music, tmp_path, **options) -> np.ndarray:
    """Frames [samples, 2] in -1..1."""
    path = tmp_path / "out.wav"
    sound.synthesize(music, path, sample_rate=RATE, **options)
    with wave.open(str(path)) as file:
        assert (file.getnchannels(), file.getsampwidth(), file.getframerate()) == (2, 2, RATE)
        return np.frombuffer(file.readframes(file.getnframes()), "<i2").reshape(-1, 2) / 32768


def rms(frames: np.ndarray, start: float, end: float) -> float:
    return float(np.sqrt((frames[int(start * RATE) : int(end * RATE)] ** 2).mean()))


def score(*rows) -> Score:
    return Score.from_notes(Notes.of(rows))


@pytest.mark.parametrize("program", range(0, 128, 8))
def test_energy_is_where_the_note_is_and_at_its_pitch(tmp_path, program):
    frames = heard(score((1, 1, 69, program, 100), (5, 1, 69, program, 100)), tmp_path)
    assert len(frames) == pytest.approx((6 + 1.2) * RATE, abs=RATE * 0.05)
    assert not frames[: int(0.99 * RATE)].any() and rms(frames, 3.5, 4.99) < 1e-4, "silence before and between"
    assert rms(frames, 1, 1.5) > 0.05 and rms(frames, 5, 5.5) > 0.05
    spectrum = np.abs(np.fft.rfft(frames[int(1.1 * RATE) : int(1.6 * RATE)].sum(axis=1)))
    peaks = np.flatnonzero(spectrum > 0.5 * spectrum.max()) * 2.0  # Hz: half a second resolves 2 Hz
    assert np.abs(peaks / 440 - np.rint(peaks / 440)).max() < 0.02, "nothing but harmonics of a' = 440 Hz"


@pytest.mark.parametrize("pitch", [*range(27, 88)])
def test_every_drum_is_audible_and_short(tmp_path, pitch):
    frames = heard(score((0.5, 0.1, pitch, DRUMS, 100)), tmp_path)
    assert not frames[: int(0.49 * RATE)].any()
    assert np.abs(frames).max() > 0.3 and rms(frames, 1.6, 1.7) < 0.1 * rms(frames, 0.5, 0.6)


def test_velocity_volume_pedal_and_bend_are_heard(tmp_path):
    part = pretty_midi.Instrument(48)
    part.notes = [pretty_midi.Note(v, 69, t, t + 0.5) for v, t in ((110, 0), (40, 2), (110, 4), (110, 12))]
    part.control_changes = [pretty_midi.ControlChange(7, 30, 4.0), pretty_midi.ControlChange(7, 100, 10.0)]
    part.control_changes += [pretty_midi.ControlChange(64, 127, 12.1), pretty_midi.ControlChange(64, 0, 13.5)]
    part.pitch_bends = [pretty_midi.PitchBend(8191, 11.5)]  # two semitones up, in another window than the first notes
    music = pretty_midi.PrettyMIDI()
    music.instruments = [part]
    frames = heard(music, tmp_path)
    loud, soft, turned_down = (rms(frames, t, t + 0.5) for t in (0, 2, 4))
    assert loud > 2.5 * soft and loud > 2.5 * turned_down
    assert rms(frames, 13, 13.4) > 0.5 * rms(frames, 12.2, 12.5) and rms(frames, 14.6, 14.7) < 1e-3
    spectrum = np.abs(np.fft.rfft(frames[12 * RATE : 13 * RATE].sum(axis=1)))[:1000]
    assert spectrum.argmax() % 494 == pytest.approx(0, abs=4)


def test_left_and_right(tmp_path):
    """By the pan that is set, else by a seat on the stage: the first to the left, the last to the right."""

    def sides(*pans: int | None) -> list[float]:
        music = pretty_midi.PrettyMIDI()
        for i, pan in enumerate(pans):
            part = pretty_midi.Instrument(0)
            part.notes = [pretty_midi.Note(100, 69, 2 * i, 2 * i + 0.5)]
            part.control_changes = [] if pan is None else [pretty_midi.ControlChange(10, pan, 0)]
            music.instruments.append(part)
        frames = heard(music, tmp_path)
        each = [frames[2 * i * RATE : (2 * i + 1) * RATE] for i in range(len(pans))]
        return [float(np.log(rms(part[:, 0], 0, 0.5) / rms(part[:, 1], 0, 0.5))) for part in each]

    left, middle, right = sides(0, 64, 127)
    assert left > 1 and abs(middle) < 0.3 and right < -1
    first, _, last = sides(None, None, None)
    assert left > first > 0.2 and right < last < -0.2


def test_many_loud_instruments_do_not_clip(tmp_path):
    rows = [(0.25 * i, 0.5, 40 + i % 40, program, 127) for i in range(16) for program in range(0, 128, 4)]
    frames = heard(score(*rows, *((0.25 * i, 0.1, 36, DRUMS, 127) for i in range(16))), tmp_path)
    assert 0.6 < np.abs(frames).max() < 0.9 and (np.abs(frames) > 0.88).mean() < 0.001


def test_the_same_music_sounds_the_same_and_no_music_is_silence(tmp_path):
    music = score((0, 1, 60, 0, 90), (0.5, 0.1, 38, DRUMS, 90))
    assert np.array_equal(heard(music, tmp_path), heard(music, tmp_path))
    assert not heard(pretty_midi.PrettyMIDI(), tmp_path).any()


def test_soundfonts(tmp_path, monkeypatch):
    """The `fluidsynth` program is one small object at the edge: the test puts a function in its place."""
    music, font = score((0, 1, 60, 0, 90)), tmp_path / "a.sf2"
    with pytest.raises(RequestError, match="cannot read soundfont .*a.sf2"):
        heard(music, tmp_path, soundfont=font)
    font.write_bytes(b"not a soundfont at all")
    with pytest.raises(RequestError, match="is not a soundfont"):
        heard(music, tmp_path, soundfont=font)
    font.write_bytes(b"RIFF\0\0\0\0sfbk")
    monkeypatch.setattr(sound.shutil, "which", lambda name: None)
    monkeypatch.setitem(sys.modules, "fluidsynth", None)  # as if pyfluidsynth were not installed
    with pytest.raises(RequestError, match="apt install fluidsynth"):
        heard(music, tmp_path, soundfont=font)
    calls = []

    def run(command, **_):
        calls.append(command)
        target = command[command.index("-F") + 1]
        with wave.open(target, "wb") as file:
            file.setparams((2, 2, RATE, 0, "NONE", ""))
            file.writeframes((np.ones((RATE, 2)) * 3000).astype("<i2").tobytes())
        return sound.subprocess.CompletedProcess(command, 0, "", "")

    monkeypatch.setattr(sound.shutil, "which", lambda name: "/usr/bin/fluidsynth")
    monkeypatch.setattr(sound.subprocess, "run", run)
    frames = heard(music, tmp_path, soundfont=font)
    assert len(frames) == RATE and 0.5 < frames.min() <= frames.max() < 0.9
    assert calls[0][0] == "/usr/bin/fluidsynth" and str(font) in calls[0] and calls[0][-1].endswith(".mid")


@pytest.mark.skipif(os.name == "nt", reason="a script of the shell stands in")
def test_a_fluidsynth_that_complains_in_another_encoding_is_one_line(tmp_path, monkeypatch):
    font, program = tmp_path / "a.sf2", tmp_path / "fluidsynth"
    font.write_bytes(b"RIFF\0\0\0\0sfbk")
    program.write_text("#!/bin/sh\nprintf 'no caf\\351\\n' >&2\nexit 1\n")
    program.chmod(0o755)
    monkeypatch.setattr(sound.shutil, "which", lambda name: str(program))
    with pytest.raises(RequestError, match="fluidsynth failed: no caf"):
        heard(score((0, 1, 60, 0, 90)), tmp_path, soundfont=font)


def test_errors_are_one_line_and_leave_nothing(tmp_path):
    music = score((0, 1, 60, 0, 90))
    with pytest.raises(FileError, match="^cannot write .*missing.*[^\n]$"):
        sound.synthesize(music, tmp_path / "missing" / "a.wav")
    with pytest.raises(RequestError, match="8000 to 96000"):
        sound.synthesize(music, tmp_path / "a.wav", sample_rate=0)
    with pytest.raises(RequestError, match="too long"):
        sound.synthesize(score((4000, 1, 60, 0, 90)), tmp_path / "a.wav")
    assert not list(tmp_path.iterdir())


def test_the_examples_are_what_their_script_says(tmp_path):
    script = runpy.run_path(str(EXAMPLES / "make.py"))
    for melody in script["MELODIES"]:
        script["midi"](melody).save(tmp_path / melody.file)
        assert (tmp_path / melody.file).read_bytes() == (EXAMPLES / melody.file).read_bytes()
        piece = read(EXAMPLES / melody.file)
        assert [part.name for part in piece.parts] == ["Melody"] and 24 <= piece.end <= 60 and not piece.repairs
