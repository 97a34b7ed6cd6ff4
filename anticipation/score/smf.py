"""Standard MIDI Files as chunks and events, byte for byte. Knows nothing of notes, instruments or seconds."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, replace

from ..errors import MidiError

MAX_CHUNKS = 0xFFFF  # as many as the header can count
MAX_DELTA = 0x0FFFFFFF  # the largest number that four seven-bit bytes hold

NOTE_OFF, NOTE_ON, CONTROL, PROGRAM = 0x80, 0x90, 0xB0, 0xC0  # channel messages: the upper half of the status byte
META = 0xFF
TEXT, TRACK_NAME, DEVICE_NAME, PORT, END_OF_TRACK, TEMPO, METER, KEY = 0x01, 0x03, 0x09, 0x21, 0x2F, 0x51, 0x58, 0x59

# Data bytes after each status; sysex (f0, f7) and meta (ff) carry their own length, f4, f5, f9 and fd do not exist.
_LENGTHS = {status: 1 if 0xC0 <= status < 0xE0 else 2 for status in range(0x80, 0xF0)}
_LENGTHS |= {0xF1: 1, 0xF2: 2, 0xF3: 1, 0xF6: 0, 0xF8: 0, 0xFA: 0, 0xFB: 0, 0xFC: 0, 0xFE: 0}

Event = tuple[int, int, bytes]  # tick, status, the bytes after the status


@dataclass(frozen=True)
class File:
    """A file as its chunks.

    format: 0 or 1. ppqn: ticks per quarter note. header: header bytes beyond the six that the standard knows.
    chunks: (four-letter kind, body), tracks are `MTrk`. tail: bytes after the last chunk that are no chunk.
    """

    format: int
    ppqn: int
    header: bytes = b""
    chunks: tuple[tuple[bytes, bytes], ...] = ()
    tail: bytes = b""

    @property
    def tracks(self) -> list[bytes]:
        return [body for kind, body in self.chunks if kind == b"MTrk"]

    def with_tracks(self, changed: dict[int, bytes], added: Sequence[bytes] = ()) -> File:
        """The same file with some tracks changed (by number, from 0) and others added at the end."""
        numbers = iter(range(len(self.chunks)))
        chunks = [(kind, changed.get(next(numbers), body) if kind == b"MTrk" else body) for kind, body in self.chunks]
        chunks += [(b"MTrk", body) for body in added]
        return replace(self, format=1 if added else self.format, chunks=tuple(chunks))

    def encode(self) -> bytes:
        """The bytes of the file. Raises MidiError for more tracks than a header can count."""
        if len(self.tracks) > MAX_CHUNKS:
            raise MidiError(f"more than {MAX_CHUNKS} tracks")
        numbers = (self.format, len(self.tracks), self.ppqn)
        header = b"".join(n.to_bytes(2, "big") for n in numbers) + self.header
        return b"".join(_chunk(kind, body) for kind, body in ((b"MThd", header), *self.chunks)) + self.tail


def decode(data: bytes) -> tuple[File, list[str]]:
    """The chunks of a file and, in words, what was odd and could be repaired. Raises MidiError."""
    if not data:
        raise MidiError("the file is empty")
    if data[:4] != b"MThd":
        raise MidiError("not a MIDI file")
    size = int.from_bytes(data[4:8], "big")
    if size < 6 or len(data) < 8 + size:
        raise MidiError("the header is cut short")
    kind, promised, ppqn = (int.from_bytes(data[at : at + 2], "big") for at in (8, 10, 12))
    if kind == 2:
        raise MidiError("type 2 files (independent patterns) are not supported")
    if kind > 2:
        raise MidiError(f"unknown MIDI file type {kind}")
    if ppqn & 0x8000:
        raise MidiError("SMPTE time division is not supported, only ticks per quarter note")
    if ppqn == 0:
        raise MidiError("time division of zero ticks per quarter note")
    chunks, tail, repairs = _chunks(data, 8 + size)
    file = File(kind, ppqn, data[14 : 8 + size], tuple(chunks), tail)
    found = len(file.tracks)
    if not found:
        raise MidiError("the file has no tracks")
    if found != promised:
        repairs.append(f"the header promises {promised} tracks, the file has {found}")
    return file, repairs


def _chunks(data: bytes, at: int) -> tuple[list[tuple[bytes, bytes]], bytes, list[str]]:
    """The chunks from a position on, the bytes left over, and what was odd."""
    chunks: list[tuple[bytes, bytes]] = []
    repairs = []
    while at + 8 <= len(data) and data[at : at + 4].isascii() and data[at : at + 4].decode().isprintable():
        kind, size = data[at : at + 4], int.from_bytes(data[at + 4 : at + 8], "big")
        end = at + 8 + size
        if end > len(data) and kind == b"MTrk":  # a wrong length does no harm if the track itself is whole
            number = sum(kind == b"MTrk" for kind, _ in chunks) + 1
            end = _whole(data, at + 8, number)
            repairs.append(f"track {number} claims to be longer than the file")
        elif end > len(data):
            break
        chunks.append((kind, data[at + 8 : end]))
        if len(chunks) > MAX_CHUNKS:
            raise MidiError(f"more than {MAX_CHUNKS} chunks")
        at = end
    if at < len(data):
        repairs.append(f"bytes after the last track, kept but not read: {len(data) - at}")
    return chunks, data[at:], repairs


def _whole(data: bytes, at: int, number: int) -> int:
    """Where the track that starts here ends, by its end-of-track event."""
    try:
        for _, status, body, end in events(data, at):
            if status == META and body[0] == END_OF_TRACK:
                return end
    except MidiError:
        pass
    raise MidiError(f"track {number} is cut short")


def events(track: bytes, start: int = 0) -> Iterator[tuple[int, int, bytes, int]]:
    """(tick, status, bytes after the status, position of the next event) from `start` up to the end of track.

    Running status is resolved; it outlives meta events and sysex, as in most readers. Raises MidiError.
    """
    at, tick, running = start, 0, 0
    try:
        while at < len(track):
            delta = track[at]
            at += 1
            if delta > 0x7F:
                delta, at = _decode_vlq(track, at - 1)
            tick += delta
            status = track[at]
            if status < 0x80:
                status = running
            else:
                at += 1
            if status < 0xF0:
                end = at + _LENGTHS[status]
                running = status
            elif status in (0xF0, 0xF7, META):
                size, end = _decode_vlq(track, at + (status == META))
                end += size
            else:
                end = at + _LENGTHS[status]
            if end > len(track):
                raise IndexError
            yield tick, status, track[at:end], end
            if status == META and track[at] == END_OF_TRACK:
                return
            at = end
    except IndexError:
        raise MidiError("cut short in the middle of an event") from None
    except KeyError:
        raise MidiError(f"no event can start at byte {at} of the track") from None


def _decode_vlq(data: bytes, at: int) -> tuple[int, int]:
    """A variable-length quantity (seven bits a byte, the eighth set in all but the last) and the position after it."""
    value = 0
    for i in range(at, at + 4):
        value = value << 7 | data[i] & 0x7F
        if data[i] < 0x80:
            return value, i + 1
    raise MidiError(f"a number of more than four bytes at byte {at} of the track")


def _encode_vlq(value: int) -> bytes:
    """A number from 0 to MAX_DELTA as a variable-length quantity."""
    out = [value & 0x7F]
    while value := value >> 7:
        out.append(value & 0x7F | 0x80)
    return bytes(reversed(out))


def meta(tick: int, kind: int, data: bytes = b"") -> Event:
    """A meta event (TEXT, TEMPO ...)."""
    return tick, META, bytes([kind]) + _encode_vlq(len(data)) + data


def meta_data(body: bytes) -> bytes:
    """The data of a meta event, without kind and length."""
    return body[_decode_vlq(body, 1)[1] :]


def track(rows: Iterable[Event]) -> bytes:
    """A track from events in order of time. A wait too long for one delta is bridged by empty text events."""
    out = bytearray()
    now = 0
    for tick, status, body in rows:
        while tick - now > MAX_DELTA:
            out += _encode_vlq(MAX_DELTA) + bytes([META, TEXT, 0])
            now += MAX_DELTA
        out += _encode_vlq(tick - now)
        out.append(status)
        out += body
        now = tick
    return bytes(out)


def _chunk(kind: bytes, body: bytes) -> bytes:
    return kind + len(body).to_bytes(4, "big") + body
