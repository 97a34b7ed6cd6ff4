"""What a new track of a MIDI file holds: its notes as events, the channel that they are played on, and what makes that
channel sound like another part's. Knows ticks and channels; knows no Scores."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from itertools import chain

import numpy as np

from ..errors import MidiError
from ..music.notes import DRUMS, Notes
from ..music.tempo import TempoMap
from . import smf
from .tracks import DRUM_CHANNEL, text_of

MELODIC_CHANNELS = [channel for channel in range(16) if channel != DRUM_CHANNEL]
NAMED = (smf.META, bytes([smf.TRACK_NAME]))
BANK = (0, 32)  # controllers: coarse and fine
# Controllers that say how a channel sounds: volume, balance, pan, expression, timbre, sends, and parameters such as the
# range of its bends. Those that a player moves (pedals, wheels) are not among them.
SETTINGS = frozenset([6, 7, 8, 10, 11, 38, *range(70, 80), *range(91, 102)])


def title(track: bytes, name: str) -> bytes:
    """The bytes of a part's name: as its track has them, if it has the name; encoded anew they could come out as
    gibberish in the DAW that wrote them. Else UTF-8."""
    said = (smf.meta_data(body) for _, status, body, _ in smf.events(track) if (status, body[:1]) == NAMED)
    return next((data for data in said if text_of(data) == name), name.encode())


def head(name: bytes, stamp: str, port: int) -> list[smf.Event]:
    """The events at the beginning of a new track: its name, what we say of its origin, and its port if that is not the
    first."""
    head = [smf.meta(0, smf.TRACK_NAME, name)]
    if stamp:
        head.append(smf.meta(0, smf.TEXT, stamp.encode()))
    if port:
        head += [smf.meta(0, smf.PORT, bytes([port])), smf.meta(0, smf.DEVICE_NAME, b"Port %d" % (port + 1))]
    return head


def channel_events(bodies: Iterable[bytes], channel: int) -> list[smf.Event]:
    """The controllers and programs that tracks send on a channel, in order of time."""
    wanted = (smf.CONTROL | channel, smf.PROGRAM | channel)
    rows = [(tick, status, data) for body in bodies for tick, status, data, _ in smf.events(body) if status in wanted]
    return sorted(rows, key=lambda row: row[0])


def said_for(tracks: Sequence[bytes], ports: Sequence[int], number: int, channel: int) -> list[smf.Event]:
    """The controllers and programs of a part's channel, in order of time: those on its own track and, for each
    controller that the track does not mention, those on other tracks of its port. number: of the track."""

    def subject(row: smf.Event) -> tuple[int, int | bool]:
        return row[1], row[1] & 0xF0 == smf.CONTROL and row[2][0]

    own = channel_events([tracks[number]], channel)
    said = {subject(row) for row in own}
    others = (body for port, body in zip(ports, tracks, strict=True) if port == ports[number])
    rest = [row for row in channel_events(others, channel) if subject(row) not in said]
    return sorted([*rest, *own], key=lambda row: row[0])


def voice(said: list[smf.Event], program: int, channel: int, first: int) -> list[smf.Event]:
    """Events that make an empty channel sound like the one that all of `said` is for: its program, with its bank, no
    later than the first note (tick `first`), and its SETTINGS, whenever they change."""
    bank: dict[int, bytes] = {}
    chosen: list[smf.Event] = []
    for tick, status, data in said:
        if status & 0xF0 == smf.CONTROL and data[0] in BANK:
            bank[data[0]] = data
        elif status & 0xF0 == smf.PROGRAM and data[0] == program:
            chosen = [(min(tick, first), smf.CONTROL, pair) for pair in bank.values()]
            chosen.append((min(tick, first), smf.PROGRAM, data))
            break
    set_ = [row for row in said if row[1] & 0xF0 == smf.CONTROL and row[2][0] in SETTINGS]
    chosen = chosen or [(0, smf.PROGRAM, bytes([program]))]
    return [(tick, status & 0xF0 | channel, data) for tick, status, data in (*chosen, *set_)]


def tempo_track(tempo: TempoMap) -> bytes:
    """A track of nothing but tempos and metres. Raises MidiError for those that a file cannot hold."""
    rows = []
    for tick, rate in tempo.tempos:
        if not 0 < rate < 1 << 24:
            raise MidiError(f"a MIDI file cannot hold a tempo of {rate} microseconds per quarter note")
        rows.append(smf.meta(tick, smf.TEMPO, rate.to_bytes(3, "big")))
    for tick, beats, unit in tempo.meters:
        if not 0 < beats < 256 or unit not in (1, 2, 4, 8, 16, 32, 64):
            raise MidiError(f"a MIDI file cannot hold the time signature {beats}/{unit}")
        rows.append(smf.meta(tick, smf.METER, bytes([beats, unit.bit_length() - 1, 24, 8])))
    rows.sort(key=lambda row: row[0])
    return smf.track([*rows, smf.meta(rows[-1][0], smf.END_OF_TRACK)])


def stands(said: list[smf.Event], program: int, first: int, last: int) -> bool:
    """Whether a channel, which all of `said` is for, has one program from tick `first` to `last`."""
    changes = [(tick, data[0]) for tick, status, data in said if status & 0xF0 == smf.PROGRAM]
    before = [chosen for tick, chosen in changes if tick <= first]
    return {*(before[-1:] or [0]), *(chosen for tick, chosen in changes if first < tick <= last)} == {program}


def free_channel(
    taken: dict[tuple[int, int], int], instrument: int, home: tuple[int, int] | None = None, joins: bool = False
) -> tuple[int, int]:
    """(port, channel) for a new part: a free one; else `home`, where the part plays that it goes with, if it `joins`
    that; else that of a part with the same program, preferably home; else one on a further port. For a player that
    knows one port, that is another part's channel: the one whose program is most like the new one."""
    if instrument == DRUMS:
        return 0, DRUM_CHANNEL
    spoken = {channel for _, channel in taken}  # on any port: many players know only one
    alone = [(0, channel) for channel in MELODIC_CHANNELS if channel not in spoken]
    alike = [place for place, playing in taken.items() if playing == instrument and place[1] != DRUM_CHANNEL]
    alike.sort(key=lambda place: place != home)
    apart = {channel: abs(playing - instrument) for (port, channel), playing in taken.items() if not port}
    nearest = sorted(MELODIC_CHANNELS, key=lambda channel: apart.get(channel, 0))
    others = ((port, channel) for port in range(128) for channel in nearest)
    further = (place for place in others if place not in taken)
    return next(chain(alone, [home] if home and joins else [], alike, further, [(0, 0)]))


def note_events(notes: Notes, tempo: TempoMap, channel: int) -> Iterator[smf.Event]:
    """Note-ons and note-offs in order of time, at one tick the offs first. Notes of one pitch never overlap."""
    on = np.maximum(tempo.ticks(notes.onset), 0)
    off = np.maximum(tempo.ticks(notes.offset), on + 1)
    order = np.lexsort((off, on, notes.pitch))
    on, off, pitch, velocity = on[order], off[order], notes.pitch[order], notes.velocity[order].clip(1, 127)
    last = np.append((np.diff(pitch) != 0) | (np.diff(on) != 0), True)  # of several at one tick the longest
    on, off, pitch, velocity = on[last], off[last], pitch[last], velocity[last]
    again = np.append(np.where(np.diff(pitch) == 0, on[1:], np.iinfo(np.int64).max), np.iinfo(np.int64).max)
    off = np.minimum(off, again)
    rows = [(tick, 1, p, v) for tick, p, v in zip(on.tolist(), pitch.tolist(), velocity.tolist(), strict=True)]
    rows += [(tick, 0, p, 64) for tick, p in zip(off.tolist(), pitch.tolist(), strict=True)]
    for tick, sounds, p, v in sorted(rows):
        yield tick, (smf.NOTE_ON if sounds else smf.NOTE_OFF) | channel, bytes((p, v))
