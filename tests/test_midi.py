"""Laws of Score: reading agrees with the libraries that everybody trusts, writing loses nothing, bad files say why."""

import io
import os
from collections import Counter

import mido
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from pretty_midi import PrettyMIDI
from strategies import notes, tempo_maps

from anticipation.errors import FileError, MidiError, RequestError
from anticipation.music.notes import BEAT, CHORD, DRUMS, Notes
from anticipation.music.tempo import TempoMap
from anticipation.score import midi, smf, tracks
from anticipation.score.midi import Score, read, write


def bytes_of(hexdump: str) -> bytes:
    """The bytes of a hexdump with # comments."""
    return bytes.fromhex("".join(line.split("#")[0] for line in hexdump.splitlines()))


def one_track(hexdump: str) -> bytes:
    """A type 0 file at 96 ticks per quarter note around the events of a track."""
    body = bytes_of(hexdump)
    return bytes_of("4d546864 00000006 0000 0001 0060") + b"MTrk" + len(body).to_bytes(4, "big") + body


def in_ticks(score: Score) -> list[tuple[int, int, int, int, int]]:
    """(on, off, pitch, instrument, velocity), sorted."""
    columns = (score.tempo.ticks(score.notes.onset), score.tempo.ticks(score.notes.offset))
    columns += (score.notes.pitch, score.notes.instrument, score.notes.velocity)
    return sorted(zip(*(column.tolist() for column in columns), strict=True))


def events_of(data: bytes) -> list[Counter]:
    """Per track, every event with its tick."""
    return [Counter(event[:3] for event in smf.events(body)) for body in smf.decode(data)[0].tracks]


def as_mido(data: bytes) -> list[list[tuple[int, tuple]]]:
    """The same by mido, which knows nothing of our scanner."""
    out = []
    for track in mido.MidiFile(file=io.BytesIO(data), clip=True).tracks:
        ticks = np.cumsum([message.time for message in track]).tolist()
        out.append([(tick, tuple(message.bytes())) for tick, message in zip(ticks, track, strict=True)])
    return out


# Everything that a careless program loses: a chunk and metas that nobody knows, an impossible key, sysex in pieces,
# running status across them, bends, controllers, lyrics, a port, one channel under two programs, bytes at the end.
RICH = bytes_of("""
    4d 54 68 64  00 00 00 08  00 01 00 02 01 e0  ca fe  # MThd, type 1, two tracks, 480 ticks, a longer header
    4d 54 72 6b  00 00 00 2e  # MTrk
    00 ff 03 03 c3 9c 62      # track name, UTF-8
    00 ff 51 03 07 a1 20      # tempo: 120 bpm
    00 ff 58 04 03 02 18 08   # metre: 3/4
    00 ff 59 02 09 00         # a key of nine sharps
    83 60 ff 51 03 0f 42 40   # 60 bpm after one quarter
    00 ff 60 02 01 02         # unknown meta
    00 ff 2f 00
    58 46 49 48  00 00 00 03  01 02 03   # a chunk that nobody knows
    4d 54 72 6b  00 00 00 54  # MTrk
    00 ff 21 01 00            # port 0
    00 c3 28                  # channel 4: violin
    00 b3 07 64               # volume
    00 93 3c 40               # on, C4
    00 40 41                  # on, E4, running status
    10 e3 00 50               # bend
    10 f0 03 43 12 00         # sysex, first part
    05 f7 02 01 f7            # its second part
    05 93 40 00               # off by velocity 0
    00 3c 00
    00 ff 05 02 61 68         # lyric
    00 3e 50                  # on, D4: running status across the lyric
    60 83 3e 40               # off
    00 c3 38                  # trumpet
    00 93 40 60               # on, E4
    00 a3 40 11               # key pressure
    00 d3 22                  # channel pressure
    83 60 83 40 00            # off
    00 ff 7f 03 00 00 41      # sequencer's own
    00 ff 2f 00
    ba be                     # no chunk
""")


def test_reading_a_file_with_everything():
    score = Score.from_bytes(RICH)
    assert in_ticks(score) == [(0, 42, 60, 40, 64), (0, 42, 64, 40, 65), (42, 138, 62, 40, 80), (138, 618, 64, 56, 96)]
    assert score.tempo == TempoMap(480, ((0, 500_000), (480, 1_000_000)), ((0, 3, 4),))
    assert [(part.name, part.instrument, part.track, part.channel) for part in score.parts] == [
        ("violin", 40, 1, 3),
        ("trumpet", 56, 1, 3),
    ]
    assert score.repairs == ["bytes after the last track, kept but not read: 2"]
    assert score.end == pytest.approx(0.5 + 138 / 480)


# ---- agreement with others -------------------------------------------------------------------------------------------


def test_seconds_equal_those_of_pretty_midi_on_real_files(corpus_files):
    """pretty_midi leaves out notes of no length; and where notes of one pitch overlap, ends both at the first off."""
    for path in corpus_files[::4]:
        score = read(path)
        try:
            theirs = PrettyMIDI(str(path))
        except mido.KeySignatureError:
            continue
        onsets = np.array(sorted(note.start for part in theirs.instruments for note in part.notes))
        if not any("of no length" in line for line in score.repairs):
            assert len(onsets) == len(score.notes)
        nearest = score.notes.onset[np.searchsorted(score.notes.onset, onsets - 1e-6)]
        np.testing.assert_allclose(nearest, onsets, atol=1e-6)


def test_notes_equal_those_of_symusic_on_real_files(corpus_files):
    """All but notes of no length: there symusic says 0 ticks, and we 1."""
    symusic = pytest.importorskip("symusic")
    for path in corpus_files:
        theirs = []
        for part in symusic.Score(str(path)).tracks:
            instrument = 128 if part.is_drum else part.program
            theirs += [(n.start, max(n.end, n.start + 1), n.pitch, instrument, n.velocity) for n in part.notes]
        assert in_ticks(read(path)) == sorted(theirs), path


@given(st.lists(st.tuples(st.integers(0, 2), st.booleans()), max_size=30))
def test_pairing_equals_its_definition(events):
    """An on that has no off is one that a stack leaves over; the others go first in, first out."""
    key, on = np.array(sorted(k for k, _ in events), dtype=np.int64), np.array([o for _, o in events], dtype=bool)
    expected, strays = {}, 0
    for value in np.unique(key):
        stack, offs, matched = [], [], []
        for row in np.flatnonzero(key == value):
            if on[row]:
                stack.append(row)
            elif stack:
                matched.append(stack.pop())
                offs.append(row)
            else:
                strays += 1
        expected |= dict.fromkeys(stack, -1) | dict(zip(sorted(matched), offs, strict=True))
    ons, offs, stray = tracks.pair(key, on)
    assert (dict(zip(ons.tolist(), offs.tolist(), strict=True)), stray) == (expected, strays)


# ---- writing loses nothing -------------------------------------------------------------------------------------------


def trimmed(music: Notes, tempo: TempoMap) -> list[tuple[int, int, int, int, int]]:
    """What can be written of some notes, in ticks: the longest of several at one tick, ended by the next."""
    voices: dict = {}
    for (_, _, pitch, instrument, velocity), on, off in zip(
        music, tempo.ticks(music.onset).tolist(), tempo.ticks(music.offset).tolist(), strict=True
    ):
        voice = voices.setdefault((pitch, instrument), {})
        off = max(off, on + 1)
        if off >= voice.get(on, (0, 0))[0]:
            voice[on] = off, velocity
    out = []
    for (pitch, instrument), voice in voices.items():
        for on, following in zip(sorted(voice), [*sorted(voice)[1:], 1 << 40], strict=True):
            out.append((on, min(voice[on][0], following), pitch, instrument, voice[on][1]))
    return sorted(out)


@given(notes(), tempo_maps())
def test_notes_and_tempos_survive_a_file(tmp_path_factory, music, tempo):
    path = tmp_path_factory.mktemp("out") / "x.mid"
    score = Score.from_notes(music, tempo)
    write(score, path)
    assert read(path) == score
    assert score.tempo == tempo and score.repairs == []
    assert in_ticks(score) == trimmed(music, tempo)
    assert Score.from_notes(score.notes, tempo) == score  # nothing is trimmed twice


@given(notes())
def test_every_on_has_its_off_and_no_pitch_overlaps_itself(music):
    for body in as_mido(Score.from_notes(music).data):
        sounding = set()
        for _, (status, *data) in body:
            if status >> 4 == 9:
                assert data[0] not in sounding
                sounding.add(data[0])
            elif status >> 4 == 8:
                sounding.remove(data[0])
        assert not sounding


def test_an_unchanged_file_keeps_every_byte(corpus_files, tmp_path):
    (tmp_path / "rich.mid").write_bytes(RICH)
    for path in [*corpus_files, tmp_path / "rich.mid"]:
        write(read(path), tmp_path / "again.mid", force=True)
        assert (tmp_path / "again.mid").read_bytes() == path.read_bytes()


def test_added_tracks_leave_real_files_as_they_are(corpus_files):
    more = Notes.of([(0.5, 1, 60, 33, 64), (1, 1, 38, DRUMS, 64), (0, 2, 48, CHORD, 64), (0, 1, 0, BEAT, 64)])
    for path in corpus_files:
        score = read(path)
        both = score.with_notes(more, stamp="made by a test")
        assert both.data.startswith(score.data[14:], 14)  # every chunk, byte for byte
        assert [part.name for part in both.parts[len(score.parts) :]] == ["finger bass", "drums"]
        assert len(both.notes) == len(score.notes) + 2 and both.tempo == score.tempo


def test_removing_notes_removes_nothing_else_from_real_files(corpus_files):
    """By mido, and for whole files and random halves."""
    random = np.random.default_rng(1)
    for path in corpus_files[::4]:
        score = read(path)
        half = random.random(len(score.notes)) < 0.5
        try:
            before, after = as_mido(path.read_bytes()), as_mido(score.without(half).data)
        except mido.KeySignatureError:
            continue
        gone = [Counter(b) - Counter(a) for b, a in zip(before, after, strict=True)]
        assert not any(Counter(a) - Counter(b) for b, a in zip(before, after, strict=True))
        assert sum(gone, Counter()).total() == 2 * half.sum()
        assert all(message[0] >> 4 in (8, 9) for track in gone for _, message in track)
        assert score.without(half).notes == score.notes[~half]


@given(notes(max_size=20), st.data())
def test_adding_and_removing_again_leaves_the_events_of_the_file(music, data):
    score = Score.from_bytes(RICH)
    both = score.with_notes(music)
    again = both.without(sum((part.mask for part in both.parts[2:]), np.zeros(len(both.notes), bool)))
    assert events_of(again.data)[:2] == events_of(RICH)
    assert again.notes == score.notes and again.data.endswith(b"\xba\xbe") and b"XFIH" in again.data
    some = np.array(data.draw(st.lists(st.booleans(), min_size=4, max_size=4)))
    gone = [before - after for before, after in zip(events_of(RICH), events_of(score.without(some).data), strict=True)]
    assert gone[0].total() == 0 and gone[1].total() == 2 * some.sum()


def test_a_repeated_note_is_not_cut():
    """The reference implementation writes on before off at one tick."""
    score = Score.from_notes(Notes.of([(0, 0.5, 60, 0, 64), (0.5, 0.5, 60, 0, 65)]))
    assert [row[:2] for row in in_ticks(score)] == [(0, 480), (480, 960)]
    kinds = [message[0] for _, message in as_mido(score.data)[1] if message[0] >> 4 in (8, 9)]
    assert kinds == [0x90, 0x80, 0x90, 0x80]


@pytest.mark.parametrize("count", [16, 17, 40, 129])
def test_any_number_of_parts_can_be_written(count):
    """The reference implementation crashes at 16 instruments and drums."""
    music = Notes.of([(i / 4, 0.25, 60, instrument, 64) for i, instrument in enumerate(range(129 - count, 129))])
    score = Score.from_notes(music)
    assert score.notes.instruments == music.instruments and len(score.parts) == count
    again = Score.from_bytes(RICH).with_notes(music)
    assert len(again.parts) == 2 + count and again.notes.of_instruments([128]).onset[0] == (count - 1) / 4
    assert {part.channel for part in again.parts if part.instrument == DRUMS} == {9}


def test_new_parts_keep_off_the_channels_of_the_file():
    score = Score.from_bytes(RICH).with_notes(Notes.of([(0, 1, 60, p, 64) for p in range(14)]))
    assert sorted(part.channel for part in score.parts[2:]) == [0, 1, 2, *range(4, 9), *range(10, 16)]


def test_a_type_0_file_becomes_type_1_and_keeps_its_drum_kit():
    score = Score.from_bytes(one_track("00 c9 08  00 99 24 40  60 24 00  00 ff 2f 00"))  # room kit
    both = score.with_notes(Notes.of([(0, 1, 38, DRUMS, 64), (0, 1, 60, 0, 64)]), stamp="seed 7")
    tracks = mido.MidiFile(file=io.BytesIO(both.data)).tracks
    assert mido.MidiFile(file=io.BytesIO(both.data)).type == 1 and len(tracks) == 3
    assert [message.program for track in tracks for message in track if message.type == "program_change"] == [8, 0]
    assert [message.text for track in tracks for message in track if message.type == "text"] == ["seed 7", "seed 7"]


# ---- parts, bars, beats ----------------------------------------------------------------------------------------------


def test_parts_are_found_by_name_number_and_instrument():
    score = Score.from_notes(Notes.of([(0, 1, 60, 0, 64), (0, 1, 60, 4, 64), (1, 1, 36, 128, 64)]))
    assert score.part("electric piano").index == score.part("ELEC").index == score.part(1).index == 1
    assert score.part("piano").index == 0  # a whole name goes before a piece of one
    assert score.part("drums").mask.tolist() == [False, False, True]
    with pytest.raises(RequestError, match="no part 'flute'; choose from: 0 piano, 1 electric piano, 2 drums"):
        score.part("flute")
    with pytest.raises(RequestError, match="several parts match 'pia'; choose from: 0 piano, 1 electric piano$"):
        score.part("pia")
    with pytest.raises(RequestError):
        score.part(3)


def test_the_program_is_that_of_the_track_or_else_of_the_channel():
    score = Score.from_bytes(
        bytes_of("""
        4d 54 68 64  00 00 00 06  00 01 00 03 00 60
        4d 54 72 6b  00 00 00 0a  00 c0 01  30 c0 02  00 ff 2f 00              # channel 1: 1, later 2
        4d 54 72 6b  00 00 00 0c  30 90 3c 40  30 3c 00  00 ff 2f 00 00        # says nothing of its own
        4d 54 72 6b  00 00 00 0e  00 c0 05  30 90 3c 40  30 3c 00  00 ff 2f 00 # same channel, its own program
    """)
    )
    assert [(part.track, part.instrument) for part in score.parts] == [(1, 2), (2, 5)]


def test_a_port_has_channels_of_its_own():
    tracks = ("00 ff 21 01 00  00 c0 05  00 90 3c 40  60 3c 00", "00 ff 21 01 01  00 90 3c 40  60 3c 00")
    chunks = tuple((b"MTrk", bytes_of(f"{body}  00 ff 2f 00")) for body in tracks)
    score = Score.from_bytes(smf.File(1, 96, chunks=chunks).encode())
    assert [(part.channel, part.instrument) for part in score.parts] == [(0, 5), (0, 0)]


def test_names_are_utf_8_or_latin_1():
    for encoded in ("c3 a9 74 c3 a9", "e9 74 e9"):
        track = f"00 ff 03 {len(bytes_of(encoded)):02x} {encoded}  00 90 3c 40  60 3c 00  00 ff 2f 00"
        (part,) = Score.from_bytes(smf.File(1, 96, chunks=((b"MTrk", bytes_of(track)),)).encode()).parts
        assert part.name == "été"


def test_a_wait_too_long_for_one_delta_is_bridged():
    far = 2 * smf.MAX_DELTA + 7
    events = list(smf.events(smf.track([(3, 0x90, b"<@"), (far, 0x80, b"<@")])))
    assert [event[:3] for event in events if event[1] != smf.META] == [(3, 0x90, b"<@"), (far, 0x80, b"<@")]


def test_bars_count_from_one_and_include_the_last():
    score = Score.from_notes(Notes.of([(0, 7.5, 60, 0, 64)]))  # four bars at 120 bpm, the last one not full
    assert score.bars(1, 1) == (0, 2) and score.bars(2, 4) == (2, 8)
    assert len(score.beats()) == 15 and score.beats().pitch[:5].tolist() == [0, 1, 2, 3, 0]
    for first, last in ((0, 1), (3, 2), (4, 5), (-1, 2)):
        with pytest.raises(RequestError, match="which has 4 bars"):
            score.bars(first, last)


def test_bars_reach_to_the_end_of_the_tracks():
    score = Score.from_bytes(one_track("00 90 3c 40  60 3c 00  8b 20 ff 2f 00"))  # a quarter, then 15 of silence
    assert score.end == 0.5 and score.bars(4, 4) == (6, 8) and len(score.beats()) == 16


# ---- bad files say why -----------------------------------------------------------------------------------------------

BAD = {
    "the file is empty": b"",
    "not a MIDI file": b"RIFF\0\0\0\0 this is something else",
    "the header is cut short": bytes_of("4d546864 00000006 0000 0001"),
    "the file has no tracks": bytes_of("4d546864 00000006 0000 0000 0060"),
    "type 2 files": bytes_of("4d546864 00000006 0002 0001 0060  4d54726b 00000004 00ff2f00"),
    "unknown MIDI file type 7": bytes_of("4d546864 00000006 0007 0001 0060  4d54726b 00000004 00ff2f00"),
    "SMPTE time division": bytes_of("4d546864 00000006 0000 0001 e728  4d54726b 00000004 00ff2f00"),
    "zero ticks per quarter": bytes_of("4d546864 00000006 0000 0001 0000  4d54726b 00000004 00ff2f00"),
    "track 1 is cut short": bytes_of("4d546864 00000006 0000 0001 0060  4d54726b 00000014 00903c40"),
    "track 1: cut short in the middle of an event": one_track("00 90 3c"),
    "track 1: no event can start at byte 1": one_track("00 3c 40 00 ff 2f 00"),  # running status with nothing running
    "track 1: no event can start at byte 2": one_track("00 f4 00 ff 2f 00"),  # a status that does not exist
    "a number of more than four bytes": one_track("ff ff ff ff 7f 90 3c 40"),
    "tempo of zero at tick 16": one_track("10 ff 51 03 00 00 00  00 ff 2f 00"),
    "longer than 4 hours": one_track("ff ff ff 7f 90 3c 40  60 3c 00  00 ff 2f 00"),
    "longer than 100,000 quarter notes": one_track("00 ff 51 03 00 00 01  ff ff ff 7f 90 3c 40  00 ff 2f 00"),
    "more than 4,096 parts": smf.File(1, 96, chunks=4097 * ((b"MTrk", bytes_of("00903c40 603c00 00ff2f00")),)).encode(),
    "larger than 8 MiB": bytes(midi.MAX_BYTES + 1),
}


@pytest.mark.parametrize("reason", BAD)
def test_a_bad_file_says_why_in_one_line(reason, tmp_path):
    path = tmp_path / "bad.mid"
    path.write_bytes(BAD[reason])
    with pytest.raises(MidiError, match=reason) as error:
        read(path)
    assert str(error.value).startswith(f"{path}: ") and "\n" not in str(error.value)


def test_no_file_has_more_tracks_than_its_header_can_count():
    full = smf.File(1, 96, chunks=((b"MTrk", b""),) * 0xFFFF)
    assert len(full.encode()) == 14 + 8 * 0xFFFF
    with pytest.raises(MidiError, match="^more than 65535 tracks$"):
        full.with_tracks({}, [b""]).encode()


def test_an_error_names_a_few_of_many_parts():
    score = Score.from_bytes(smf.File(1, 96, chunks=50 * ((b"MTrk", bytes_of("00903c40 603c00 00ff2f00")),)).encode())
    with pytest.raises(RequestError, match="several parts match 'piano'; choose from: 0 piano, 1 .*19 piano, 30 more$"):
        score.part("piano")


def test_a_missing_file_and_a_folder_say_so(tmp_path):
    for path in (tmp_path / "none.mid", tmp_path):
        with pytest.raises(MidiError, match=f"^cannot read {path}: "):
            read(path)


ODD = {  # what is odd: the track, and its notes as (on, off, pitch, velocity)
    "never end": ("00 90 3c 40  30 3c 50  30 3c 00  00 ff 2f 00", [(0, 48, 60, 64), (48, 96, 60, 80)]),
    "never end, ended": ("30 90 3c 40  60 ff 2f 00", [(48, 144, 60, 64)]),
    "the track": ("30 90 3c 40  00 ff 2f 00", [(48, 96, 60, 64)]),  # at least a quarter of a second
    "overlap": ("00 90 3c 40  30 3c 50  30 3c 00  30 3c 00  00 ff 2f 00", [(0, 96, 60, 64), (48, 144, 60, 80)]),
    "of no length": ("30 90 3c 40  00 3c 00  00 ff 2f 00", [(48, 49, 60, 64)]),
    "end nothing": ("00 80 3c 40  00 90 3c 40  60 3c 00  00 ff 2f 00", [(0, 96, 60, 64)]),
    "above 127": ("00 90 3c ff  60 3c 00  00 ff 2f 00", [(0, 96, 60, 127)]),
    "no end-of-track": ("00 90 3c 40  60 3c 00", [(0, 96, 60, 64)]),
    "senseless": ("00 ff 51 00  00 ff 58 02 00 02  00 90 3c 40  60 3c 00  00 ff 2f 00", [(0, 96, 60, 64)]),
}


@pytest.mark.parametrize("what", ODD)
def test_what_is_merely_odd_is_repaired_and_said(what):
    hexdump, expected = ODD[what]
    score = Score.from_bytes(one_track(hexdump))
    assert [(on, off, pitch, velocity) for on, off, pitch, _, velocity in in_ticks(score)] == expected
    assert any(what in line for line in score.repairs)
    gone = score.without(np.ones(len(score.notes), bool))
    assert not len(gone.notes) and len(score.with_notes(Notes.of([(0, 1, 60, 5, 64)])).notes) == len(expected) + 1


def test_a_track_longer_than_the_file_is_read_if_it_is_whole():
    data = bytes_of("4d546864 00000006 0001 0003 0060") + 2 * bytes_of("4d54726b 7fffffff 00903c40 603c00 00ff2f00")
    score = Score.from_bytes(data)
    assert in_ticks(score) == 2 * [(0, 96, 60, 0, 64)]
    assert [line.split()[0] for line in score.repairs] == ["track", "track", "the"]  # and the header promises three
    assert len(score.with_notes(Notes.of([(0, 1, 60, 5, 64)])).parts) == 3


def test_a_file_without_notes_is_a_score():
    score = Score.from_bytes(one_track("00 ff 2f 00"))
    assert len(score.notes) == 0 and score.parts == [] and score.end == 0 and len(score.beats()) == 0
    assert score.with_notes(Notes.of([])) == score == score.without(np.zeros(0, bool))


@settings(max_examples=400)
@given(
    st.sampled_from([RICH, one_track("00 90 3c 40  60 3c 00  00 ff 2f 00"), Score.from_notes(
        Notes.of([(i / 8, 0.25, 60 + i % 5, (0, 33, 128)[i % 3], 64) for i in range(24)])).data]),
    st.lists(st.tuples(st.integers(0, 600), st.binary(max_size=4), st.integers(0, 4)), min_size=1, max_size=8),
)  # fmt: skip
def test_a_mutilated_file_is_read_or_refused(data, cuts):
    for at, new, drop in cuts:
        at %= len(data)
        data = data[:at] + new + data[at + drop :]
    try:
        score = Score.from_bytes(data)
    except MidiError:
        return
    assert len(score.beats()) <= 16 * midi.MAX_QUARTERS + 1
    assert (score.notes.duration > 0).all() and score.end <= 3600 * midi.MAX_HOURS
    assert sum(part.mask.sum() for part in score.parts) == len(score.notes)
    assert not len(score.without(np.ones(len(score.notes), bool)).notes)
    assert len(score.with_notes(Notes.of([(0, 1, 60, 5, 64)])).notes) == len(score.notes) + 1


# ---- writing safely --------------------------------------------------------------------------------------------------

SCORE = Score.from_notes(Notes.of([(0, 1, 60, 0, 64)]))


def test_an_existing_file_is_not_overwritten_unless_forced(tmp_path):
    path = tmp_path / "song.mid"
    path.write_bytes(b"precious")
    with pytest.raises(FileError, match="exists already"):
        write(SCORE, path)
    assert path.read_bytes() == b"precious"
    write(SCORE, path, force=True)
    assert read(path) == SCORE and os.listdir(tmp_path) == ["song.mid"]


def test_a_missing_folder_and_a_folder_as_target_say_so(tmp_path):
    for path in (tmp_path / "none" / "song.mid", tmp_path, "", "song\0.mid", "x" * 300):
        with pytest.raises(FileError, match="cannot write"):
            write(SCORE, path, force=True)


# ---- other libraries -------------------------------------------------------------------------------------------------


@given(notes(max_size=20), tempo_maps())
@settings(max_examples=20)
def test_there_and_back_through_pretty_midi(music, tempo):
    score = Score.from_notes(music, tempo)
    back = Score.from_pretty_midi(score.to_pretty_midi())
    assert len(back.notes) == len(score.notes) and back.notes.instruments == score.notes.instruments
    np.testing.assert_allclose(back.notes.onset, score.notes.onset, atol=2e-3)


@given(notes(max_size=20), tempo_maps())
@settings(max_examples=20)
def test_there_and_back_through_miditoolkit(music, tempo):
    score = Score.from_notes(music, tempo)
    assert in_ticks(Score.from_miditoolkit(score.to_miditoolkit())) == in_ticks(score)


def test_files_that_other_libraries_refuse_are_still_converted():
    score = Score.from_bytes(RICH)  # unknown chunk, impossible key
    assert sum(len(part.notes) for part in score.to_pretty_midi().instruments) == 4
    assert sum(len(part.notes) for part in score.to_miditoolkit().instruments) == 4


def test_a_key_is_what_is_signed_else_what_is_heard():
    """The most usual of several at one tick; nonsense is ignored; without any the notes tell."""
    body = "00 ff 59 02 fd 00  00 90 3c 40  60 80 3c 40  00 ff 59 02 04 00  00 ff 59 02 63 00  00 ff 2f 00"
    score = Score.from_bytes(one_track(body))
    assert score.keys() == [(0.0, -3), (0.5, 4)] and not score.repairs
    several = [tracks.scan(bytes.fromhex(f"00ff5902{key}00 00ff2f00")) for key in ("fd", "ff", "fd")]
    assert tracks.key_signatures(several) == {0: -3}
    scale = Score.from_notes(
        Notes.of((0.5 * i, 0.4, 64 + step, 73, 80) for i, step in enumerate((0, 2, 4, 5, 7, 9, 11, 12)))
    )
    assert scale.keys() == [(0.0, 4)]
