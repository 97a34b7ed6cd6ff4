"""Laws of the tasks: what was there stays, tick for tick; what is new keeps to the request, and says its origin."""

import tarfile
from collections import Counter
from dataclasses import replace
from functools import partial

import numpy as np
import pytest
from conftest import CORPUS

from anticipation.errors import RequestError
from anticipation.infilling import drafting, tasks
from anticipation.infilling.casting import RESTING
from anticipation.infilling.request import Infill
from anticipation.music.grid import cut
from anticipation.music.harmony import CHORD_TONES
from anticipation.music.notes import CHORD, DRUMS, Notes
from anticipation.music.symbols import chart_text, parse_chord, parse_scale
from anticipation.music.tempo import TempoMap
from anticipation.score.midi import Score, read

Options = partial(tasks.Options, best_of=2)  # drafts: enough for one of them to be chosen
TEMPO = TempoMap(480, ((0, 428_571), (1920, 500_000)), ((0, 4, 4),))  # 140 bpm, then 120
FLUTE, PIANO, BASS = 73, 0, 33


def beats(*numbers) -> np.ndarray:
    return TEMPO.seconds(np.array(numbers) * 480)


def line(instrument: int, pitch: int, count: int = 32) -> list[tuple]:
    times = beats(*range(count + 1))
    return [(times[i], times[i + 1] - times[i], pitch + (0, 4, 7, 5)[i % 4], instrument, 80) for i in range(count)]


BAND = Score.from_notes(Notes.of([*line(FLUTE, 72), *line(PIANO, 60), *line(BASS, 40), *line(DRUMS, 38)]), TEMPO)
MELODY = Score.from_notes(Notes.of(line(FLUTE, 72)), TEMPO)
A, B = beats(8, 16)  # bars 3 and 4
PROGRESSION = [parse_chord(name) for name in "C F Ab Db Eb D Bm G E Gm A Bb F#m B Cm Abm".split()]  # two beats each
PIECE = Score.from_notes(Notes.of(
    (start, stop - start, 48 + pitch, PIANO, 80)
    for symbol, start, stop in zip(PROGRESSION, beats(*range(0, 32, 2)), beats(*range(2, 34, 2)), strict=True)
    for pitch in np.flatnonzero(np.tile(CHORD_TONES[symbol], 2)).tolist()), TEMPO)  # fmt: skip


def in_ticks(score: Score, mask=slice(None)) -> Counter:
    """(track, instrument, on, off, pitch, velocity): how often."""
    notes, tracks, ticks = score.notes[mask], np.zeros(len(score.notes), dtype=int), score.tempo.ticks
    for part in score.parts:
        tracks[part.mask] = part.track
    columns = (tracks[mask], notes.instrument, ticks(notes.onset), ticks(notes.offset), notes.pitch, notes.velocity)
    return Counter(zip(*(column.tolist() for column in columns), strict=True))


def old(score: Score) -> np.ndarray:
    """Mask of the notes that are not ours."""
    return ~np.any([part.mask for part in score.parts if part.stamp] or [np.zeros(len(score.notes), bool)], axis=0)


def begins_in(score: Score, start: float, end: float) -> np.ndarray:
    first, last = cut(score.notes, score.beats(), start, end)
    return (score.notes.onset >= first) & (score.notes.onset < last)


@pytest.fixture
def asked(monkeypatch) -> list[Infill]:
    """What the tasks of a test ask for."""
    seen, generate = [], drafting.generate
    monkeypatch.setattr(drafting, "generate", lambda m, what, **how: seen.append(what) or generate(m, what, **how))
    return seen


# ---- what was there stays --------------------------------------------------------------------------------------------


@pytest.mark.parametrize("melody", [None, "flute", 0])
def test_accompanying_adds_and_changes_nothing(random_model, melody):
    (take,) = tasks.accompany(BAND, random_model(), "piano,drums", melody=melody, options=Options(seed=1))
    assert in_ticks(take.score, old(take.score)) == in_ticks(BAND)
    assert take.score.data.startswith(BAND.data[14:], 14)
    assert [part.name for part in take.score.parts[4:]] == ["piano", "drums"]


@pytest.mark.parametrize("bars, filled", [(tasks.INTRO, True), (tasks.INTRO + 1, False)])
def test_what_lies_before_a_part_of_a_song_stays_empty(random_model, bars, filled):
    """A region that a DAW exports begins where it lies; an intro is as long as people's."""
    lines = TEMPO.bar_seconds(60.0)
    late = Score.from_notes(Notes.of([(lines[bars] + 0.5 * i, 0.5, 72 + i % 5, FLUTE, 80) for i in range(9)]), TEMPO)
    harmony = tasks.harmonize(late, random_model(), options=tasks.Options(chords="| C | F |"))[0]
    assert (harmony.notes.onset[0] == 0) == filled and harmony.chords.onset[0] == pytest.approx(
        0 if filled else lines[bars]
    )
    take = tasks.accompany(late, random_model(), "piano", options=Options(best_of=1))[0]
    assert (take.notes.onset[0] < lines[bars] - 1e-3) == filled
    assert (tasks.EMPTY.format(bars) in take.remarks) != filled
    if not filled:
        all_ = tasks.accompany(late, random_model(), "piano", start=0.0, options=Options(best_of=1))[0]
        assert all_.notes.onset[0] < lines[bars] - 1e-3 and all_.remarks == ()


@pytest.mark.parametrize("parts", [None, ["piano"], ["bass", 3]])
def test_a_hole_is_emptied_and_filled_and_nothing_else_is_touched(random_model, parts):
    (take,) = tasks.infill(BAND, random_model(), A, B, parts=parts, options=Options(seed=1))
    chosen = BAND.parts if parts is None else [BAND.part(name) for name in parts]
    hole = begins_in(BAND, A, B) & np.any([part.mask for part in chosen], axis=0)
    assert in_ticks(take.score, old(take.score)) == in_ticks(BAND, ~hole)
    ours = take.score.notes[~old(take.score)]
    assert len(ours) and set(ours.instruments) <= {part.instrument for part in chosen}
    assert begins_in(take.score, A - 1e-9, B)[~old(take.score)].all()


def test_a_note_that_sounds_across_the_edge_of_a_hole_stays_whole(random_model):
    pad = Score.from_notes(
        Notes.of([(0, B + 1, 48, 89, 50), (A, 1, 50, 89, 50), (B, 1, 52, 89, 50), (A + 1, 9, 72, FLUTE, 80)])
    )
    (take,) = tasks.infill(pad, random_model(), A, B, parts=["warm pad"], options=Options(seed=1))
    kept = take.score.notes[old(take.score)]
    np.testing.assert_allclose(kept.offset, [B + 1, A + 10, B + 1], atol=1e-3)


def test_the_last_bar_can_be_a_hole(random_model):
    start, end = BAND.bars(8, 8)
    (take,) = tasks.infill(BAND, random_model(), start, end, options=Options(seed=1))
    assert in_ticks(take.score, old(take.score)) == in_ticks(BAND, ~begins_in(BAND, start, end))


def test_an_empty_last_bar_can_be_filled(random_model):
    """A DAW's tracks end with their last bar, not with their notes."""
    empty = BAND.without(begins_in(BAND, *BAND.bars(7, 8)))
    assert empty.end < empty.bars(8, 8)[0] and empty.bar_count == 8
    for first in (6, 8):
        start, end = empty.bars(first, 8)
        (take,) = tasks.infill(empty, random_model(), start, end, options=Options(seed=1))
        assert in_ticks(take.score, old(take.score)) == in_ticks(empty, ~begins_in(empty, start, end))


def test_going_on_from_the_end(random_model):
    (take,) = tasks.continue_(BAND, random_model(), 5.0, options=Options(seed=1))
    assert in_ticks(take.score, old(take.score)) == in_ticks(BAND)
    assert ((take.notes.onset >= BAND.end) & (take.notes.onset < BAND.end + 5)).all()
    assert set(take.notes.instruments) <= {FLUTE, PIANO, BASS, DRUMS} and len(take.notes)


def test_going_on_from_the_middle(random_model):
    (take,) = tasks.continue_(BAND, random_model(), B - A, start=A, options=Options(seed=1))
    assert in_ticks(take.score, old(take.score)) == in_ticks(BAND, ~begins_in(BAND, A, B))
    elsewhere = Notes.of([*line(FLUTE, 72, 8), *line(PIANO, 60, 8), *line(BASS, 40, 8), *line(DRUMS, 38, 8)])
    blind = tasks.continue_(Score.from_notes(elsewhere, TEMPO), random_model(), B - A, options=Options(seed=1))[0]
    assert take.notes.between(A, B - 0.01) == blind.notes.between(A, B - 0.01), "what follows is not looked at"


def test_going_on_from_the_first_moment(random_model):
    (take,) = tasks.continue_(BAND, random_model(), 2.0, start=0.0, options=Options(seed=1))
    assert len(take.notes) and in_ticks(take.score, old(take.score)) == in_ticks(BAND, ~begins_in(BAND, 0, 2.0))


@pytest.mark.parametrize("keep", [0.0, 0.5, 0.9])
def test_a_variation_keeps_its_share(random_model, keep):
    (take,) = tasks.vary(BAND, random_model(), keep=keep, parts=["piano"], options=Options(seed=1))
    kept, was = in_ticks(take.score, old(take.score)), in_ticks(BAND)
    assert kept <= was and {note[1] for note in was - kept} == {PIANO}
    assert abs((was - kept).total() - (1 - keep) * 32) < 9 and len(take.notes)
    again = tasks.vary(BAND, random_model(), keep=keep, parts=["piano"], options=Options(seed=2))[0]
    assert keep == 0 or in_ticks(again.score, old(again.score)) != kept


@pytest.mark.parametrize("task", [
    lambda m, o: tasks.vary(PIECE, m, keep=0.25, options=o),
    lambda m, o: tasks.vary(PIECE, m, keep=0.25, rhythm=True, options=o),
    lambda m, o: tasks.infill(PIECE, m, A, B, rhythm=True, options=o),
], ids=["vary", "vary-rhythm", "infill-rhythm"])  # fmt: skip
def test_what_only_varies_keeps_its_chords(random_model, task):
    """Those that were played, also by what gives way."""
    (take,) = task(random_model(), Options(best_of=1))
    there = (take.chords.onset > A - 0.1) & (take.chords.onset < B - 0.1)
    assert (
        chart_text(take.chords[there], TEMPO.bar_seconds(B)[2:4]).count("|") and len(np.unique(take.chords.pitch)) > 1
    )
    for onset, _, symbol, *_ in take.chords[there]:
        assert symbol == PROGRESSION[int(np.searchsorted(beats(*range(0, 32, 2)), onset + 0.05)) - 1]


def test_who_rests_in_a_hole_and_around_it_is_left_to_rest(random_model):
    """A bass of the last four bars in a hole of the first ones: it plays there only where it is asked to, or where
    nobody else is near. In a variation nobody plays who has no note that gives way."""
    late = [row for row in line(BASS, 40) if row[0] >= beats(16)[0]]
    score, options = Score.from_notes(Notes.of([*line(FLUTE, 72, 24), *late]), TEMPO), Options(seed=1, chords="none")

    def played(takes):
        return set(takes[0].notes.instrument.tolist())

    model, span = random_model(), beats(0, 8).tolist()
    takes = tasks.infill(score, model, *span, options=options)
    assert played(takes) == {FLUTE} and takes[0].remarks == (RESTING.format("finger bass"),)
    assert played(tasks.infill(score, model, *span, parts=["flute", "bass"], options=options)) == {FLUTE, BASS}
    assert played(tasks.infill(score, model, *beats(12, 16).tolist(), options=options)) == {FLUTE, BASS}, "near enough"
    assert played(tasks.vary(score, model, keep=0.0, end=span[1], options=options)) == {FLUTE}
    (same,) = tasks.vary(score, model, keep=0.999, end=span[1], options=options)
    assert same.score == score and not len(same.notes) and same.remarks == (tasks.ALL_STAY,)
    empty = score.without(score.notes.onset < beats(16)[0])
    assert played(tasks.infill(empty, model, *span, options=options)) == {FLUTE, BASS}


def test_harmonizing_writes_the_chords_it_names(random_model):
    takes = tasks.harmonize(MELODY, random_model(), instrument="organ", options=tasks.Options(takes=2, seed=1))
    for take in takes:
        assert in_ticks(take.score, old(take.score)) == in_ticks(MELODY)
        assert set(take.notes.instruments) == {16} and set(take.chords.instruments) == {CHORD}
        for onset, _, symbol, _, _ in take.chords:
            pitches = take.notes.pitch[abs(take.notes.onset - onset) < 0.01]
            assert symbol == 120 or set(pitches % 12) == set(np.flatnonzero(CHORD_TONES[symbol]).tolist())
    assert takes[0].chords != takes[1].chords


# ---- what is new -----------------------------------------------------------------------------------------------------


def test_a_new_part_is_one_that_its_instrument_can_play(random_model, random_amt):
    """Whatever the key, in both families, unless a range or a number of voices is asked for; a part of which notes are
    known goes where those go."""
    high = Score.from_notes(Notes.of(line(PIANO, 85)), TEMPO)
    for model in (random_model(), random_amt()):
        (new,) = tasks.accompany(high, model, "flute,bass", options=Options(seed=1))
        for number, low, top in ((FLUTE, 60, 96), (BASS, 28, 60)):
            own = new.notes.of_instruments([number])
            assert len(own) > 8 and own.pitch.min() >= low and own.pitch.max() <= top
            assert (own.offset[:-1] <= own.onset[1:] + 1e-6).all()
    asked = Options(seed=1, low=0, high=127, polyphony=4)
    free = tasks.accompany(high, random_model(), "flute", options=asked)[0].notes
    assert free.pitch.min() < 60 and (free.offset[:-1] > free.onset[1:] + 1e-6).any()
    deep = Score.from_notes(Notes.of([*line(PIANO, 60), *line(BASS, 5), *line(BASS, 21)]), TEMPO)
    hole = tasks.infill(deep, random_model(), A, B, parts=["bass"], options=Options(seed=1))[0].notes
    assert 5 <= hole.pitch.min() < 28


LIMITS = Options(seed=0, scale="Eb minor", low=50, high=70, polyphony=1, density=3)


@pytest.mark.parametrize(
    "task",
    [
        lambda score, model: tasks.accompany(score, model, "piano,bass", options=LIMITS),
        lambda score, model: tasks.infill(score, model, A, B, options=LIMITS),
        lambda score, model: tasks.continue_(score, model, 6.0, options=LIMITS),
        lambda score, model: tasks.vary(score, model, options=LIMITS),
        lambda score, model: tasks.harmonize(score, model, options=replace(LIMITS, best_of=tasks.Options.best_of)),
    ],
    ids=["accompany", "infill", "continue", "vary", "harmonize"],
)
def test_limits_hold_in_the_file(random_model, task):
    (take,) = task(BAND, random_model())
    ours = take.score.notes[~old(take.score)]
    pitch = ours.pitched.pitch
    assert len(ours) > 2 and ((pitch >= 50) & (pitch <= 70) & parse_scale("Eb minor")[pitch % 12]).all()
    ticks = take.score.tempo.ticks
    for instrument in ours.instruments:
        own = ours.of_instruments([instrument])
        assert (ticks(own.offset[:-1]) <= ticks(own.onset[1:])).all()
        assert (own.onset[3:] - own.onset[:-3] >= 1 - 0.02).all(), "density, to the hundredth of a second"


@pytest.mark.parametrize("grid, parts", [("4", 4), ("3", 3), ("auto", 4), ("1", 1), ("5", 5), ("8", 8)])
def test_what_is_written_begins_on_the_grid_or_with_a_known_note(random_model, grid, parts):
    """To the tick, also where the model's hundredths of a second know no such place."""
    (take,) = tasks.accompany(MELODY, random_model(), "piano,drums", options=Options(seed=1, grid=grid))
    beats = MELODY.beats()
    grids = (beats.onset[:, None] + beats.duration[:, None] * np.arange(parts) / parts).ravel()
    there = np.append(grids, MELODY.notes.onset)
    assert len(take.notes) > 4 and abs(there[:, None] - take.notes.onset).min(0).max() < 1e-5
    assert "grid " + grid in {part.stamp for part in take.score.parts if part.stamp}.pop()


def test_off_the_grid_and_without_one_notes_begin_anywhere(random_model):
    free = tasks.accompany(MELODY, random_model(), "piano", options=Options(seed=1, grid="free"))[0].notes
    phase = free.onset / (MELODY.beats().duration[0] / 4) % 1
    assert len(set((phase * 10).astype(int).tolist())) > 5


@pytest.mark.parametrize("grid", ["0", "25", "-4", "1/16", "", "²"])
def test_a_grid_that_is_none_is_refused(random_model, grid):
    with pytest.raises(RequestError, match="--grid is auto, free, or 1 to 24"):
        tasks.accompany(MELODY, random_model(), "piano", options=Options(grid=grid))


def test_new_tracks_say_where_they_are_from(random_model):
    options = Options(takes=2, seed=77, scale="C major", density=5, low=40, chords="| C | G |")
    for number, take in enumerate(tasks.accompany(MELODY, random_model(), "piano,bass", options=options), start=1):
        (stamp,) = {part.stamp for part in take.score.parts if part.stamp}
        for fact in ("anticipation 0.", "checkpoint unsaved", "seed 77", f"take {number}", "scale C major", "density 5",
                     "accompany piano,finger bass", "range 40-127", "chords | C | G |"):  # fmt: skip
            assert fact in stamp
        assert {part.name for part in take.score.parts if part.stamp} == {"piano", "finger bass"}


def test_drums_go_to_channel_ten(random_model):
    (take,) = tasks.accompany(MELODY, random_model(), "drums,bass", options=Options(seed=1))
    assert {part.channel == 9 for part in take.score.parts if part.instrument == DRUMS} == {True}
    assert {part.channel == 9 for part in take.score.parts if part.instrument != DRUMS} == {False}


def test_a_piece_with_every_channel_in_use_gets_new_parts(random_model):
    rows = [row for program in range(0, 80, 4) for row in line(program, 60, 4)] + line(DRUMS, 38, 4)
    full = Score.from_notes(Notes.of(rows), TEMPO)
    assert len(full.parts) == 21
    (take,) = tasks.accompany(full, random_model(), "piano,drums,sitar", options=Options(seed=1))
    assert in_ticks(take.score, old(take.score)) == in_ticks(full)
    assert {part.instrument for part in take.score.parts if part.stamp} == {PIANO, DRUMS, 104}
    (take,) = tasks.infill(full, random_model(), 0.5, 1.5, options=Options(seed=1))
    assert in_ticks(take.score, old(take.score)) == in_ticks(full, ~begins_in(full, 0.5, 1.5))


def test_takes_differ_and_do_not_depend_on_how_many_are_asked(random_model):
    """With chords planned for each take, as by default; nor on what else is in the batch."""

    def takes(count: int, chords="auto") -> list:
        options = Options(takes=count, seed=5, chords=chords)
        return [take.notes for take in tasks.accompany(MELODY, random_model(), end=4.0, options=options)]

    assert takes(1) == takes(2)[:1] and takes(2) == takes(3)[:2]
    one, two, three = takes(3)
    assert one != two != three != one
    assert takes(2, "none") == takes(3, "none")[:2]


def test_chords_may_be_a_chart_or_a_part(random_model):
    chart = tasks.accompany(MELODY, random_model(), options=Options(seed=1, chords="| C | Am |"))[0]
    lines = MELODY.tempo.bar_seconds(MELODY.end)
    assert chart_text(chart.chords, lines[:5]) == "| C | Am | C | Am |"
    both = MELODY.with_notes(
        chart.chords.replace(pitch=48 + chart.chords.pitch % 12, instrument=chart.chords.pitch * 0 + 24)
    )
    played = tasks.accompany(both, random_model(), melody="flute", options=Options(seed=1, chords="nylon guitar"))[0]
    assert len(played.chords)
    assert not len(tasks.accompany(MELODY, random_model(), end=2.0, options=Options(seed=1, chords="none"))[0].chords)


def test_progress_is_told_in_seconds_of_music(random_model):
    told = []
    options = Options(takes=2, seed=1, chords="none", progress=lambda *seconds: told.append(seconds))
    tasks.accompany(MELODY, random_model(), start=2.0, end=6.0, options=options)
    reached, asked = zip(*told, strict=True)
    assert set(asked) == {4.0} and list(reached) == sorted(reached)
    assert reached[0] >= 0 and reached[-1] == pytest.approx(4.0, abs=0.01)


@pytest.mark.parametrize("melody, who", [(53, "voice"), (FLUTE, "flute,voice"), (53, "voice,choir")])
def test_a_melody_is_never_shown_as_what_is_written(random_model, asked, melody, who):
    """Or its notes would count as the part's own, and leave it none to sound."""
    score = Score.from_notes(Notes.of(line(melody, 72)), TEMPO)
    tasks.accompany(score, random_model(), who, end=4.0, options=Options(seed=1, best_of=1, chords="none"))
    (request,) = asked
    assert not set(request.known.audible.instruments) & set(request.instruments)


@pytest.mark.parametrize(
    "tune, more, who, told",
    [(PIANO, (), "nylon guitar", {53}), (FLUTE, (), "bass,nylon guitar", {53}), (PIANO, (), "voice,strings", {52}),
     (FLUTE, (), "strings", {FLUTE}), (PIANO, (), "piano", {53}), (FLUTE, (), "piano", {FLUTE}),
     (PIANO, (), "cello", {PIANO}), (PIANO, line(BASS, 40), "nylon guitar", {PIANO, BASS}),
     (PIANO, line(DRUMS, 38), "nylon guitar", {53, DRUMS}), (PIANO, line(BASS, 40), "piano", {PIANO, 53, BASS})],
)  # fmt: skip
def test_a_lone_tune_sings_where_chords_are_written(random_model, asked, tune, more, who, told):
    """Also before the span, where else what is written may have played. A model knows no tune beside a guitar."""
    score = Score.from_notes(Notes.of([*line(tune, 72), *more]), TEMPO)
    (take,) = tasks.accompany(score, random_model(), who, start=A, end=B, options=Options(seed=1, chords="none"))
    assert set(asked[0].known.audible.instruments) == told
    assert in_ticks(take.score, old(take.score)) == in_ticks(score)


def test_stamps_tell_apart_what_was_asked_for(random_model):
    def stamp(task, **options) -> str:
        (take,) = task(random_model(), Options(seed=5, best_of=1, chords="none", **options))
        return {part.stamp for part in take.score.parts if part.stamp}.pop()

    def vary(keep, parts=None):
        return lambda model, options: tasks.vary(BAND, model, keep=keep, parts=parts, end=4.0, options=options)

    def accompany(melody, end=2.0):
        return lambda model, options: tasks.accompany(BAND, model, melody=melody, end=end, options=options)

    stamps = [stamp(vary(0.2)), stamp(vary(0.8)), stamp(vary(0.2, ["piano", 2])), stamp(accompany(None)),
              stamp(accompany("flute")), stamp(accompany(None), style="pop"),
              stamp(accompany(None, 2.0001))]  # fmt: skip
    assert len(set(stamps)) == len(stamps)
    assert "parts piano,2" in stamps[2] and "melody flute" in stamps[4] and "style pop" in stamps[5]


def test_harmonizing_keeps_to_given_chords(random_model):
    lines = MELODY.tempo.bar_seconds(MELODY.end)
    for take in tasks.harmonize(MELODY, random_model(), options=tasks.Options(takes=2, chords="| C | Am |")):
        assert chart_text(take.chords, lines[:3]) == "| C | Am |"
        assert set(take.notes.between(0.0, 0.1).pitch % 12) == {0, 4, 7}
        assert take.notes.onset.max() < lines[-2] + 0.01 and take.notes.end <= lines[-1] + 0.01, "none after the end"


def test_a_chord_that_stays_is_struck_again_at_every_bar(random_model):
    lines = MELODY.tempo.bar_seconds(MELODY.end)
    (take,) = tasks.harmonize(MELODY, random_model(), options=tasks.Options(chords="| C | C Am |"))
    assert len(take.chords) == 8
    downbeats = {round(float(line), 2) for line in lines[:8]}
    assert downbeats < {round(float(onset), 2) for onset in take.notes.onset}
    assert take.notes.duration.max() < np.diff(lines).max()


# ---- requests that cannot be met -------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "request_, words",
    [
        (lambda m: tasks.accompany(MELODY, m, "kazoo"), "unknown instrument 'kazoo'"),
        (lambda m: tasks.accompany(MELODY, m, "vilion"), "did you mean .*violin"),
        (lambda m: tasks.accompany(MELODY, m, "129"), "programs are 0-127"),
        (lambda m: tasks.accompany(MELODY, m, "²"), "unknown instrument"),
        (lambda m: tasks.accompany(MELODY, m, ""), "unknown instrument ''"),
        (lambda m: tasks.accompany(MELODY, m, melody="tuba"), "no part 'tuba'; choose from: 0 flute"),
        (lambda m: tasks.accompany(MELODY, m, start=5.0, end=5.0), "not inside the piece"),
        (lambda m: tasks.accompany(MELODY, m, start=5.0, end=3.0), "not inside the piece"),
        (lambda m: tasks.accompany(MELODY, m, start=-1.0), "not inside the piece"),
        (lambda m: tasks.accompany(MELODY, m, start=float("nan")), "not inside the piece"),
        (lambda m: tasks.infill(MELODY, m, 100.0, 110.0), "not inside the piece"),
        (lambda m: tasks.infill(MELODY, m, 1.0, 300.0), "not inside the piece"),
        (lambda m: tasks.infill(MELODY, m, 1.0, float("inf")), "not inside the piece"),
        (lambda m: tasks.continue_(MELODY, m, 0.0), "more than 0"),
        (lambda m: tasks.continue_(MELODY, m, float("nan")), "more than 0"),
        (lambda m: tasks.continue_(MELODY, m, float("inf")), "4 hours"),
        (lambda m: tasks.continue_(MELODY, m, 5 * 3600.0), "4 hours"),
        (lambda m: tasks.continue_(MELODY, m, start=99.0), "outside the piece"),
        (lambda m: tasks.vary(MELODY, m, keep=1.0), "--keep"),
        (lambda m: tasks.harmonize(MELODY, m, instrument="drums"), "drums play no chords"),
        (lambda m: tasks.harmonize(BAND, m, melody="drums"), "nothing there has a pitch"),
        (lambda m: tasks.harmonize(MELODY, m, options=tasks.Options(chords="none")), "not none"),
        (lambda m: tasks.harmonize(MELODY, m, options=tasks.Options(grid="4")), "leave --grid out"),
        (lambda m: tasks.harmonize(MELODY, m, options=tasks.Options(best_of=1)), "leave --best-of out"),
        (lambda m: tasks.harmonize(MELODY, m, options=tasks.Options(top_p=0.5)), "leave --top-p out"),
        (lambda m: tasks.harmonize(MELODY, m, options=tasks.Options(temperature=0.5)), "leave --temperature out"),
        (lambda m: tasks.vary(MELODY, m, keep=float("nan")), "--keep"),
        (lambda m: tasks.accompany(MELODY, m, options=Options(scale="C mayor")), "unknown scale 'C mayor'"),
        (lambda m: tasks.accompany(MELODY, m, options=Options(scale="C major", low=61, high=61)), "no pitch from 61"),
        (lambda m: tasks.accompany(MELODY, m, options=Options(low=70, high=60)), "range 70-60 is empty"),
        (lambda m: tasks.accompany(MELODY, m, options=Options(high=128)), "range"),
        (lambda m: tasks.accompany(MELODY, m, options=Options(polyphony=0)), "at least 1"),
        (lambda m: tasks.accompany(MELODY, m, options=Options(density=-1)), "density 0 .free. or more"),
        (lambda m: tasks.accompany(MELODY, m, options=Options(takes=0)), "must be 1 to 32"),
        (lambda m: tasks.accompany(MELODY, m, options=Options(style="polka")), "unknown style 'polka'"),
        (lambda m: tasks.accompany(MELODY, m, options=Options(chords="| C | H |")), "unknown chord 'H'"),
        (lambda m: tasks.accompany(MELODY, m, options=Options(chords="tuba")), "no part 'tuba'"),
    ],
)  # fmt: skip
def test_a_request_that_cannot_be_met_says_why(random_model, request_, words):
    with pytest.raises(RequestError, match=f"^[^\n]*{words}[^\n]*$"):
        request_(random_model())


@pytest.mark.parametrize(
    "notes", [[], [(1.0, 1.0, 60, 0, 64)], [(1.0, 1.0, 38, DRUMS, 64)]], ids=["none", "one", "drum"]
)
def test_one_note_is_music_and_none_is_refused(random_model, notes):
    """Never anything but an error of ours. A drum goes with any chords, so
    that none can be found."""
    score, model, options = Score.from_notes(Notes.of(notes)), random_model(), Options(seed=1)
    given = "| C |" if len(score.notes) and not len(score.notes.pitched) else "auto"
    for task in (
        lambda: tasks.accompany(score, model, "piano,bass", options=options),
        lambda: tasks.infill(score, model, 0.0, 1.5, options=options),
        lambda: tasks.continue_(score, model, 2.0, options=options),
        lambda: tasks.vary(score, model, options=options),
        lambda: tasks.harmonize(score, model, options=tasks.Options(seed=1, chords=given)),
    ):
        if notes:
            assert len(task()) == 1
        else:
            with pytest.raises(RequestError, match="no notes"):
                task()


# ---- real files ------------------------------------------------------------------------------------------------------


def untouched(path, model) -> None:
    """Two seconds of a real file get a new part, then become a hole: all other notes stay, tick for tick, and for the
    new part every byte of the old tracks."""
    score, options = read(path), Options(seed=1, best_of=1, chords="none")
    if not len(score.notes):
        return
    start = float(score.notes.onset[len(score.notes) // 2])
    end = min(start + 2.0, score.end)
    added = tasks.accompany(score, model, start=start, end=end, options=options)[0].score
    assert added.data.startswith(score.data[14:], 14) and in_ticks(added, old(added)) == in_ticks(score), path
    holed = tasks.infill(score, model, start, end, options=options)[0].score
    assert in_ticks(holed, old(holed)) == in_ticks(score, ~begins_in(score, start, end)), path


def test_known_notes_of_200_real_files_come_out_untouched(random_model, corpus_files):
    for path in corpus_files:
        untouched(path, random_model())


@pytest.mark.slow
def test_known_notes_of_all_real_files_come_out_untouched(random_model, tmp_path):
    """By night: half an hour."""
    with tarfile.open(CORPUS, "r|xz") as archive:
        for member in archive:
            if member.name.endswith(".mid"):
                (tmp_path / "x.mid").write_bytes(archive.extractfile(member).read())
                untouched(tmp_path / "x.mid", random_model())
