"""AMT's tokens against cases worked out by hand."""

import mido
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from strategies import notes

from anticipation.model import amt
from anticipation.model import stream as s
from anticipation.music.notes import BEAT, CHORD, DRUMS, Notes
from anticipation.score.midi import Score, read


def triplets(events: Notes, controls: Notes | None = None, end: int = 0) -> list[list[int]]:
    given = None if controls is None else s.quantise(controls)
    return amt.encode(amt.arrange(s.quantise(events), given, end=end)).tolist()


def test_the_vocabulary_is_the_public_one():
    assert (amt.TIME.start, amt.DURATION.start, amt.NOTE.start, amt.REST) == (0, 10000, 11000, 27512)
    assert amt.CONTROL_OFFSET == amt.CONTROL_TIME.start == 27513
    assert (amt.CONTROL_DURATION.start, amt.CONTROL_NOTE.start) == (37513, 38513)
    assert (amt.SEPARATOR, amt.AUTOREGRESS, amt.ANTICIPATE, len(amt.VOCABULARY)) == (55025, 55026, 55027, 55028)
    assert [len(slot) for slot in amt.SLOTS] == [10000, 1000, 16513] and amt.CONTEXT == 1024


def test_a_tiny_piece_by_hand():
    piece = Notes.of([(0.5, 0.25, 60, 0, 90), (0.5, 1.0, 38, DRUMS, 90), (1.004, 10.0, 127, 127, 90)])
    assert triplets(piece) == [
        [0, 10025, 11060],  # times count from the first; piano is instrument 0
        [0, 10010, 11000 + 128 * 128 + 38],  # a drum stroke lasts 0.1 s
        [50, 10999, 11000 + 127 * 128 + 127],  # 10 s do not fit
    ]


def test_rests_fill_gaps_of_more_than_a_second():
    piece = Notes.of([(0.0, 0.1, 60, 0, 90), (1.0, 0.1, 60, 0, 90), (3.01, 0.1, 60, 0, 90)])
    rest = [10000, 27512]
    gap = [[0, 10010, 11060], [100, 10010, 11060], [200, *rest], [300, *rest], [301, 10010, 11060]]
    assert triplets(piece) == gap
    assert triplets(piece, end=401) == gap  # a second of silence at the end needs no rest
    assert triplets(piece, end=602) == [*gap, [401, *rest], [501, *rest], [601, *rest]]


def test_controls_come_five_seconds_early():
    events = Notes.of([(float(t), 0.5, 60, 0, 90) for t in range(3)])
    controls = Notes.of([(5.0, 0.5, 72, 53, 90), (5.01, 0.5, 74, 53, 90), (6.5, 0.5, 76, 53, 90)])
    lead = 38513 + 53 * 128
    assert triplets(events, controls) == [
        [27513 + 500, 37513 + 50, lead + 72],  # within 5 s of the beginning
        [0, 10050, 11060],
        [100, 10050, 11060],
        [27513 + 501, 37513 + 50, lead + 74],  # after the first event at or after 0.01 s
        [200, 10050, 11060],
        [27513 + 650, 37513 + 50, lead + 76],
    ]


@given(notes(), st.data())
def test_every_control_stands_after_the_first_stop_that_is_late_enough(music, data):
    mask = np.array(data.draw(st.lists(st.booleans(), min_size=len(music), max_size=len(music))), dtype=bool)
    events, controls = s.quantise(music[~mask]), s.quantise(music[mask])
    rows = amt.arrange(events, controls, end=int(music.end * s.STEPS))
    tokens = amt.encode(rows, 0)
    clock, late = 0, []
    for time, _, note in tokens.tolist():
        if note < amt.CONTROL_OFFSET:
            assert all(start - amt.DELTA > clock for start in late)  # who was due has been given
            assert 0 <= time - clock <= s.STEPS
            clock = time
            late = [int(t) for t in controls[:, 0] if t - amt.DELTA > clock]
        else:
            assert time - amt.CONTROL_OFFSET not in late
    given = tokens[tokens[:, 2] >= amt.CONTROL_OFFSET] - amt.CONTROL_OFFSET
    order = rows[rows[:, s.KIND] == s.CONTROL]
    assert given[:, 0].tolist() == order[:, s.AT].tolist() == controls[:, 0].tolist()
    assert (given[:, 2] - amt.NOTE.start).tolist() == (order[:, s.INSTRUMENT] * 128 + order[:, s.PITCH]).tolist()


@given(notes(), st.data())
def test_decoding_inverts_encoding(music, data):
    mask = np.array(data.draw(st.lists(st.booleans(), min_size=len(music), max_size=len(music))), dtype=bool)
    rows = amt.arrange(s.quantise(music[~mask]), s.quantise(music[mask]), end=2500)
    back = amt.decode(amt.encode(rows, 0))
    told = [s.KIND, s.SHIFT, s.INSTRUMENT, s.PITCH, s.DURATION, s.CLOCK, s.AT]
    assert (back[:, told] == rows[1:, told]).all()
    later = data.draw(st.integers(0, 1000))
    assert (amt.decode(amt.encode(rows, -later), -later)[:, s.AT] == rows[1:, s.AT]).all()


def test_what_amt_cannot_say_is_an_error():
    far = s.event_rows(np.array([[0, 0, 60, 10, 64], [10000, 0, 60, 10, 64]]))
    with pytest.raises(ValueError, match="10000"):
        amt.encode(far)
    for instrument in (CHORD, BEAT):
        with pytest.raises(ValueError, match="no chords and no beats"):
            amt.encode(s.event_rows(np.array([[0, instrument, 0, 10, 64]])))
    for broken in ([10000, 10000, 11000], [0, 0, 11000], [0, 10000, 10999], [27513, 37513, 27512 + 27513]):
        with pytest.raises(ValueError, match="triplets"):
            amt.decode(np.array([broken]))
    assert len(amt.encode(amt.arrange(s.quantise(Notes.of([]))))) == len(amt.decode(amt.SEPARATION)) == 0


def test_a_sequence_fills_the_context():
    one = np.array([[5, 10001, 11060]])
    tokens = amt.sequence(one, anticipated=True)
    assert tokens.shape == (1024,) and tokens[:4].tolist() == [55027, 5, 10001, 11060] and set(tokens[4:]) == {55025}
    many = amt.sequence(np.repeat(one, 400, 0), anticipated=False)
    assert many.shape == (1024,) and many[0] == 55026 and many[-1] == 11060


# ---- whole files, as published ---------------------------------------------------------------------------------------

BY_HAND = bytes.fromhex(
    "4d546864 00000006 0001 0002 01e0"  # two tracks, 480 ticks per quarter note, at 120 bpm
    "4d54726b 0000002f"
    "00 c0 18"  # channel 1 plays guitar
    "00 90 3c 40  78 90 3c 00"  # a sixteenth, 0 to 0.125 s: 12.5 steps, and round(12.5) is 12
    "00 90 3c 40  78 80 3c 40"  # the next, from 12.5 steps on
    "00 90 3e 40  00 90 3e 40  3c 80 3e 40"  # a pitch twice at 0.25 s: the first off, 62.5 ms later, ends the first on
    "00 c0 30  78 80 3e 40"  # strings now: this off is another instrument's, and ends nothing
    "9e00 90 40 40  00 ff 2f 00"  # 4 s later a note that nothing ends
    "4d54726b 00000012"
    "00 99 26 7f  8170 80 00 00  cb00 89 26 40  00 ff 2f 00"  # a drum of 10.25 s; an off that ends nothing
)


def test_a_whole_file_by_hand():
    guitar, strings, drums = (11000 + 128 * instrument for instrument in (24, 48, 128))
    assert amt.published(Score.from_bytes(BY_HAND).merged()).tolist() == [
        [0, 10012, guitar + 60],
        [0, 10999, drums + 38],
        [12, 10012, guitar + 60],
        [25, 10006, guitar + 62],
        [25, 10025, guitar + 62],
        [444, 10025, strings + 64],
    ]


def test_a_whole_file_is_read_as_mido_plays_it(corpus_files):
    """The times: those that mido's own clock adds up, message by message."""
    for path in corpus_files[::8]:
        clock, onsets = 0.0, []
        for message in mido.MidiFile(path):
            clock += message.time
            if message.type == "note_on" and message.velocity:
                onsets.append((clock, message.note))
        table = read(path).merged()
        assert list(zip(table[:, 0].tolist(), table[:, 2].tolist(), strict=True)) == onsets
        assert len(amt.published(table)) == len(onsets)


def test_tokens_prints_a_file_as_published(anticipate, tmp_path):
    (tmp_path / "x.mid").write_bytes(BY_HAND)
    code, out, _ = anticipate("tokens", tmp_path / "x.mid", "--model", "amt", "--ids")
    assert (
        code == 0
        and [int(n) for n in out.split()] == amt.published(Score.from_bytes(BY_HAND).merged()).reshape(-1).tolist()
    )
    code, out, _ = anticipate("tokens", tmp_path / "x.mid", "--model", "amt")
    assert code == 0 and "drums" in out and len(out.splitlines()) == 7
    code, _, err = anticipate("tokens", tmp_path / "x.mid", "--model", "amt", "--melody", "0")
    assert code == 2 and "events only" in err
