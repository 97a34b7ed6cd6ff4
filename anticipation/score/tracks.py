"""What the tracks of a MIDI file say, in ticks: which off ends which on, under which program, at which tempo.

Knows nothing of bytes, names of parts or Scores.
"""

from __future__ import annotations

import re
from array import array
from collections import Counter
from dataclasses import dataclass

import numpy as np

from ..errors import MidiError
from ..music.notes import DRUMS
from ..music.tempo import DEFAULT_TEMPO, TempoMap
from . import smf

HANGING_SECONDS = 0.25  # the least length of a note that nothing ends
DRUM_CHANNEL = 9
STAMP = b"anticipation "  # how the text begins that says where a track of ours comes from


@dataclass
class Track:
    """What one track says, in ticks."""

    rows: np.ndarray  # (number of the event, tick, channel << 8 | pitch, velocity or 0 for off) per note on or off
    programs: np.ndarray  # (channel, number of the event, tick, program) per program change
    metas: list[tuple[int, bytes]]  # tempos, metres and key signatures
    channels: set[int]  # that carry any message
    name: str
    stamp: str  # its first text, if we wrote the track
    port: int
    end: int
    ended: bool


def scan(body: bytes) -> Track:
    """One pass over the events of a track. Raises MidiError."""
    rows, programs = array("q"), array("q")  # compact: a hostile file is millions of events
    metas, channels, name, stamp, port, tick, ended = [], set(), "", "", 0, 0, False
    for index, (tick, status, data, _) in enumerate(smf.events(body)):
        kind = status & 0xF0
        if kind == smf.NOTE_ON:
            rows.extend((index, tick, (status & 15) << 8 | data[0], data[1]))
        elif kind == smf.NOTE_OFF:
            rows.extend((index, tick, (status & 15) << 8 | data[0], 0))
        elif status < 0xF0:
            channels.add(status & 15)
            if kind == smf.PROGRAM:
                programs.extend((status & 15, index, tick, min(data[0], 127)))
        elif status == smf.META:
            meta = data[0]
            if meta in (smf.TEMPO, smf.METER, smf.KEY):
                metas.append((tick, data))
            elif meta == smf.TRACK_NAME:
                name = name or text_of(smf.meta_data(data))
            elif meta == smf.TEXT and not stamp and smf.meta_data(data).startswith(STAMP):
                stamp = text_of(smf.meta_data(data))
            elif meta == smf.PORT:
                port = (smf.meta_data(data) or b"\0")[0]
            elif meta == smf.END_OF_TRACK:
                ended = True
    table = _table(rows)
    channels.update(np.unique(table[:, 2] >> 8).tolist())
    return Track(table, _table(programs), metas, channels, name, stamp, port, tick, ended)


def text_of(data: bytes) -> str:
    """The text of a meta event, on one line and without characters that would steer a terminal. It is taken for UTF-8
    or, as older programs wrote it, for Shift JIS if that gives kana, else for Latin-1."""
    try:
        text = data.decode()
    except UnicodeDecodeError:
        text = data.decode("cp932", errors="replace")
        text = text if re.search("[\u3041-\u30fe]", text) and "\ufffd" not in text else data.decode("latin-1")
    return " ".join("".join(letter if letter.isprintable() else " " for letter in text).split())


def tempo_map(ppqn: int, tracks: list[Track], repairs: list[str]) -> TempoMap:
    """Tempos and metres of all tracks: most files keep them in the first, some spread them. Raises MidiError."""
    tempos, meters, odd = [], [], 0
    for tick, body in (meta for track in tracks for meta in track.metas):
        data = smf.meta_data(body)
        if body[0] == smf.TEMPO and len(data) >= 3:
            tempos.append((tick, int.from_bytes(data[:3], "big")))
            if not tempos[-1][1]:
                raise MidiError(f"tempo of zero at tick {tick}")
        elif body[0] == smf.METER and len(data) >= 2 and data[0] and data[1] <= 6:  # down to sixty-fourths
            meters.append((tick, data[0], 1 << data[1]))
        elif body[0] != smf.KEY:
            odd += 1
    if odd:
        repairs.append(f"senseless tempos or time signatures, ignored: {odd}")
    return TempoMap(ppqn, tuple(tempos), tuple(meters))


def key_signatures(tracks: list[Track]) -> dict[int, int]:
    """The number of sharps (flats: below 0) by the tick of each key signature. Where tracks disagree, as with
    transposing instruments, the commonest counts."""
    several: dict[int, Counter[int]] = {}
    for tick, body in (meta for track in tracks for meta in track.metas if meta[1][0] == smf.KEY):
        data = smf.meta_data(body)
        sharps = int.from_bytes(data[:1], signed=True)
        if data and abs(sharps) <= 7:
            several.setdefault(tick, Counter())[sharps] += 1
    return {tick: count.most_common(1)[0][0] for tick, count in sorted(several.items())}


def note_table(tracks: list[Track], tempo: TempoMap, repairs: list[str]) -> dict[str, np.ndarray]:
    """Columns, one entry per note: track, channel, pitch, instrument, velocity, on and off (ticks), first and last
    (the numbers of its events in the track; last is -1 for a note that nothing ends)."""
    rows = np.concatenate([track.rows for track in tracks])
    number = np.repeat(np.arange(len(tracks)), [len(track.rows) for track in tracks])
    clipped = int(((rows[:, 2] & 0xFF) > 127).sum() + (rows[:, 3] > 127).sum())
    voice = number << 4 | rows[:, 2] >> 8  # track and channel
    key = voice << 7 | np.minimum(rows[:, 2] & 0xFF, 127)
    order = np.argsort(key, kind="stable")
    key, index, tick, velocity = key[order], rows[order, 0], rows[order, 1], np.minimum(rows[order, 3], 127)

    ons, offs, stray = pair(key, velocity > 0)
    hanging = offs < 0
    off = tick[offs]
    ends = np.array([track.end for track in tracks])[key[ons[hanging]] >> 11]
    ends = np.maximum(ends, tempo.ticks(tempo.seconds(tick[ons[hanging]]) + HANGING_SECONDS))
    off[hanging] = _next_of_key(key, tick, ons[hanging], ends)
    empty = off <= tick[ons]
    off = np.maximum(off, tick[ons] + 1)
    again = (np.diff(key[ons]) == 0) & (tick[ons][1:] < off[:-1])
    for what, count in (
        ("pitches or velocities above 127, read as 127", clipped),
        ("notes that never end, ended at the next of their pitch or with the track", hanging.sum()),
        ("note-offs that end nothing, ignored", stray),
        ("notes that overlap the next of their pitch, the first on ended by the first off", again.sum()),
        ("notes of no length, read as one tick long", (empty & ~hanging).sum()),
    ):
        if count:
            repairs.append(f"{what}: {count}")
    table = {
        "track": key[ons] >> 11,
        "channel": key[ons] >> 7 & 15,
        "pitch": key[ons] & 127,
        "velocity": velocity[ons],
        "on": tick[ons],
        "off": off,
        "first": index[ons],
        "last": np.where(hanging, -1, index[offs]),
    }
    return table | {"instrument": _instruments(tracks, table)}


def channels_in_use(tracks: list[Track], table: dict[str, np.ndarray]) -> dict[tuple[int, int], int]:
    """(port, channel) of every channel that the file uses -> its instrument, or -1 if that changes."""
    played: dict[tuple[int, int], set[int]] = {}
    for track in tracks:
        for channel in track.channels:
            played.setdefault((track.port, channel), set())
        for channel, program in np.unique(track.programs[:, [0, 3]], axis=0).tolist():
            played[track.port, channel].add(program)
    code = np.unique((table["track"] << 4 | table["channel"]) << 8 | table["instrument"])
    for value in code.tolist():
        played[tracks[value >> 12].port, value >> 8 & 15].add(value & 0xFF)
    return {place: (programs.pop() if len(programs) == 1 else -1) for place, programs in played.items()}


def merged(file: smf.File) -> np.ndarray:
    """(N, 4) onset and duration in seconds, pitch and instrument of every note, in the order of the file, as if all
    tracks were one: a channel has one program whatever the track, and an off ends the oldest note of its instrument,
    pitch and channel. The duration of a note that nothing ends is nan.

    This is how AMT's code reads files, down to the rounding: seconds are added up message by message, as mido does,
    because a sixteenth at 120 bpm lies right between two steps of 10 ms. For our own reading see `note_table`.
    """
    messages = [
        (tick, status, data)
        for body in file.tracks
        for tick, status, data, _ in smf.events(body)
        if status != smf.META or data[0] != smf.END_OF_TRACK
    ]
    messages.sort(key=lambda message: message[0])
    scale, last, time = DEFAULT_TEMPO * 1e-6 / file.ppqn, 0, 0.0
    programs: dict[int, int] = {}
    sounding: dict[tuple[int, int, int], list[int]] = {}
    rows: list[list[float]] = []
    for tick, status, data in messages:
        time += (tick - last) * scale
        last, kind, channel = tick, status & 0xF0, status & 15
        if kind == smf.PROGRAM:
            programs[channel] = data[0]
        elif kind in (smf.NOTE_ON, smf.NOTE_OFF):
            instrument = DRUMS if channel == DRUM_CHANNEL else programs.get(channel, 0)
            voices = sounding.setdefault((instrument, data[0], channel), [])
            if kind == smf.NOTE_ON and data[1]:
                voices.append(len(rows))
                rows.append([time, np.nan, data[0], instrument])
            elif voices:
                row = rows[voices.pop(0)]
                row[1] = time - row[0]
        elif status == smf.META and data[0] == smf.TEMPO and len(smf.meta_data(data)) >= 3:
            scale = int.from_bytes(smf.meta_data(data)[:3], "big") * 1e-6 / file.ppqn
    return np.array(rows, dtype=np.float64).reshape(-1, 4)


def pair(key: np.ndarray, on: np.ndarray) -> tuple[np.ndarray, np.ndarray, int]:
    """Rows of the ons, rows of the offs that end them (-1: none), and the number of offs that end nothing.

    key: track, channel and pitch as one number, ascending; within a key the order is the file's. An off ends the first
    on that sounds. Where offs are missing, the on that goes without is one that was still sounding when the next began:
    "on, on, off" is a short note cut by the second, not one that lasts through it.
    """
    if not len(key):
        return np.zeros(0, np.int64), np.zeros(0, np.int64), 0
    new = np.concatenate([[True], key[1:] != key[:-1]])
    group = np.cumsum(new) - 1
    step = np.where(on, 1, -1)
    total = np.cumsum(step)
    depth = total - (total - step)[new][group]  # ons less offs so far within the key
    fence = 2 * len(key) * group  # keeps a running minimum within its key
    floor = np.minimum(np.minimum.accumulate(depth - fence) + fence, 0)
    stray = ~on & (floor < np.where(new, 0, np.concatenate([[0], floor[:-1]])))
    sounding = depth - floor
    later = np.minimum.accumulate((sounding + fence)[::-1])[::-1] - fence
    ends = on & (later < sounding)
    offs = np.full(len(key), -1)
    offs[ends] = np.flatnonzero(~on & ~stray)
    return np.flatnonzero(on), offs[on], int(stray.sum())


def _next_of_key(key: np.ndarray, tick: np.ndarray, rows: np.ndarray, otherwise: np.ndarray) -> np.ndarray:
    """The tick of the next later event of the same key for each of some rows, or `otherwise` after the last one."""
    change = np.concatenate([[True], (np.diff(key) != 0) | (np.diff(tick) != 0)])[: len(key)]
    starts = np.append(np.flatnonzero(change), len(key))
    after = starts[np.cumsum(change)[rows]]  # the first row of another tick or key
    inside = np.minimum(after, len(key) - 1)
    return np.where((after < len(key)) & (key[inside] == key[rows]), tick[inside], otherwise)


def _instruments(tracks: list[Track], table: dict[str, np.ndarray]) -> np.ndarray:
    """The program in force at each onset: the track's own last change on that channel, else any track's, else 0.

    Many files put several tracks on one channel, each with a program of its own; they mean each track's own.
    """
    ports = np.array([track.port for track in tracks])
    number = np.repeat(np.arange(len(tracks)), [len(track.programs) for track in tracks])
    channel, index, tick, program = np.concatenate([track.programs for track in tracks]).T
    where, note_track, note_channel = ports[number] << 4 | channel, table["track"], table["channel"]
    any_track = _in_force(where, tick, program, ports[note_track] << 4 | note_channel, table["on"], 0)
    where = number << 4 | channel
    own = _in_force(where, index, program, note_track << 4 | note_channel, table["first"], any_track)
    return np.where(note_channel == DRUM_CHANNEL, DRUMS, own)


def _in_force(
    where: np.ndarray, when: np.ndarray, value: np.ndarray,
    at_where: np.ndarray, at_when: np.ndarray, otherwise: int | np.ndarray,
) -> np.ndarray:  # fmt: skip
    """(N,) the value in force at N places and times: that of the last of M changes at the same place and no later;
    `otherwise` before the first. where, when, value: (M,). at_where, at_when: (N,)."""
    place, changes = np.concatenate([where, at_where]), len(where)
    order = np.lexsort((np.concatenate([when, at_when]), place))  # stable: a change comes before a note of its time
    last = order[np.maximum.accumulate(np.where(order < changes, np.arange(len(order)), 0))]
    out = np.zeros(len(place), np.int64)
    out[order] = last  # of each change and note, the last change before it, if there is one
    last = out[changes:]
    known = (last < changes) & (place[last] == at_where)
    return np.where(known, np.append(value, 0)[np.minimum(last, changes)], otherwise)


def _table(rows: array[int]) -> np.ndarray:
    """An (N, 4) array of the numbers that were appended four at a time."""
    return np.frombuffer(rows, dtype=np.int64).reshape(-1, 4) if rows else np.zeros((0, 4), np.int64)
