"""Laws of the limits: what may be drawn next, by hand."""

import numpy as np
import pytest

from anticipation.model import bias, precedent
from anticipation.model import grammar as g
from anticipation.model import stream as s
from anticipation.music.notes import BEAT, CHORD, DRUMS, Notes

PIANO = 0
TABLE = g.pitch_table([PIANO, 33, DRUMS, CHORD], np.isin(np.arange(128), [60, 62]))


def stream(*drawn: tuple[int, int, int, int]) -> s.Stream:
    """A stream that has drawn events of (onset, instrument, pitch, duration) in steps."""
    out = s.Stream(s.Chart.of(Notes.of([])), np.zeros((0, 5), dtype=np.int64), 0, np.random.default_rng(0))
    out.rows = s.Header().rows(out.chart)
    for row in s.event_rows(np.array([(*event, 64) for event in drawn], dtype=np.int64).reshape(-1, 5)):
        out.remember(row)
        out.rows = np.concatenate([out.rows, row[None]])
    return out


TWO = {PIANO: 2, 33: 2}


def limits(start=0, end=1000, **more) -> g.Limits:
    """What is no limit is a bias."""
    told = {name: more.pop(name) for name in [*more] if name in bias.Bias.__dataclass_fields__}
    return g.Limits(start, end, more.pop("table", TABLE), bias=bias.Bias(**told), **more)


def odds(limits, clock, instrument, *drawn: tuple[int, int, int, int], chart: s.Chart | None = None) -> np.ndarray:
    """What those of an instrument's pitches are multiplied by at a clock, after some events under a chart."""
    now = stream(*drawn)
    now.chart = chart or now.chart
    return np.exp(bias.pitch_bias(now, limits, clock, instrument))


def shifts(stream, limits) -> list[int]:
    legal = g.legal_shifts(stream, limits)
    assert legal[g.REST_CLASS], "a rest is always legal"
    return np.flatnonzero(legal[: g.REST_CLASS]).tolist()


def pitches(table: np.ndarray) -> dict[int, list[int]]:
    return {int(i): np.flatnonzero(table[i]).tolist() for i in np.flatnonzero(table.any(1)) if i < DRUMS}


def test_what_may_be_written():
    assert pitches(TABLE) == {PIANO: [60, 62], 33: [60, 62]}
    assert np.flatnonzero(TABLE[DRUMS]).tolist() == list(range(35, 82)) and TABLE[CHORD].sum() == 121
    assert not g.pitch_table([BEAT]).any()


def test_each_instrument_has_its_range():
    """Within the mask, or where that has nothing there all of the mask."""
    some = np.isin(np.arange(128), [20, 60, 62, 90])
    ranges = {33: (28, 60), 73: (100, 108), DRUMS: (0, 1), 40: (-3, 20)}
    told = pitches(g.pitch_table([PIANO, 33, 40, 73], some, ranges))
    assert told == {PIANO: [20, 60, 62, 90], 33: [60], 40: [20], 73: [20, 60, 62, 90]}
    assert pitches(g.pitch_table([33], ranges=ranges)) == {33: list(range(28, 61))}
    assert g.pitch_table([DRUMS], ranges=ranges).sum() == len(g.PERCUSSION)


@pytest.mark.parametrize(
    "start, end, legal", [(0, 50, range(50)), (30, 50, range(30, 50)), (200, 300, []), (0, 900, range(101))]
)
def test_only_inside_the_span(start, end, legal):
    assert shifts(stream(), limits(start, end)) == list(legal)


def test_a_tick_is_filled_from_chords_up():
    now = stream((40, 33, 60, 10))
    assert pitches(g.legal_table(now, limits(), 0)) == {33: [62]} and not g.legal_table(now, limits(), 0)[CHORD].any()
    assert g.legal_table(now, limits(), 0)[DRUMS].any()
    assert pitches(g.legal_table(now, limits(), 1)) == {PIANO: [60, 62], 33: [60, 62]}
    after_a_chord = g.legal_table(stream((40, CHORD, 5, 100)), limits(), 0)
    assert pitches(after_a_chord) == {PIANO: [60, 62], 33: [60, 62]} and not after_a_chord[CHORD].any()


def test_a_full_tick_is_left():
    only = limits(table=g.pitch_table([33], np.isin(np.arange(128), [60])))
    assert shifts(stream((40, 33, 60, 10)), only) == list(range(1, 101))


def test_a_control_at_the_tick_does_not_reopen_it():
    now = stream((40, 33, 62, 10))
    control = s.control_rows(np.array([[40, PIANO, 72, 10, 64]]), np.array([40]))
    now.rows = np.concatenate([now.rows, control])
    assert pitches(g.legal_table(now, limits(), 0)) == {}


def test_polyphony_is_counted_by_instrument():
    now = stream((0, PIANO, 60, 300), (0, PIANO, 62, 30), (10, 33, 60, 50))
    assert pitches(g.legal_table(now, limits(polyphony=TWO), 5)) == {33: [60, 62]}
    assert pitches(g.legal_table(now, limits(polyphony=TWO), 19)) == {33: [60, 62]}
    assert pitches(g.legal_table(now, limits(polyphony=TWO), 20)) == {PIANO: [60, 62], 33: [60, 62]}  # one has ended
    assert pitches(g.legal_table(now, limits(polyphony={PIANO: 2}), 5)) == {33: [60, 62]}
    assert pitches(g.legal_table(now, limits(polyphony={33: 1}), 5)) == {PIANO: [60, 62]}
    alone = limits(polyphony={PIANO: 1}, table=g.pitch_table([PIANO]))
    assert shifts(now, alone) == []  # the long one ends 290 steps from here: wait


def test_known_notes_take_voices():
    now, known = stream((0, PIANO, 60, 30)), np.repeat([0, 1, 0], [20, 10, 5])
    alone = {"table": g.pitch_table([PIANO]), "sounding": {PIANO: known}}
    assert shifts(now, limits(voices={PIANO: 1}, **alone)) == [*range(1, 20), *range(30, 101)]
    assert shifts(now, limits(voices={PIANO: 2}, **alone)) == list(range(101))
    assert shifts(now, limits(voices={}, **alone)) == shifts(now, limits(**alone)) == list(range(101))


def test_density_is_counted_by_instrument_in_any_second():
    now = stream((0, PIANO, 60, 10), (30, PIANO, 64, 10), (40, 33, 60, 10), (50, CHORD, 5, 10))
    alone = {"table": g.pitch_table([PIANO])}
    assert shifts(now, limits(density=TWO, **alone)) == list(range(50, 101))  # until a second after the first
    assert shifts(now, limits(density={PIANO: 1}, **alone)) == list(range(80, 101))
    assert shifts(now, limits(density={PIANO: 3}, **alone)) == list(range(101))
    assert pitches(g.legal_table(now, limits(density=TWO), 5)) == {33: [60, 62]}
    assert pitches(g.legal_table(now, limits(density={PIANO: 2}), 5)) == {33: [60, 62]}
    assert pitches(g.legal_table(now, limits(density={33: 2}), 5)) == {PIANO: [60, 62], 33: [60, 62]}
    assert pitches(g.legal_table(now, limits(density=TWO), 50)) == {PIANO: [60, 62], 33: [60, 62]}
    chords = {"table": g.pitch_table([CHORD])}
    assert shifts(now, limits(density={CHORD: 1}, **chords)) == list(range(1, 101))  # chords are not onsets


def test_events_begin_where_there_is_a_place():
    now = stream((12, PIANO, 60, 10))
    told = limits(nearest=g.nearest_place(np.array([0, 12, 37, 62, 87, 120]), 200))
    assert shifts(now, told) == [0, 25, 50, 75]
    assert shifts(now, limits(start=30, nearest=told.nearest)) == [25, 50, 75]
    assert shifts(now, limits(nearest=g.nearest_place(np.array([], int), 200))) == []


def shift_logits(logits: np.ndarray, now: s.Stream, told: g.Limits) -> np.ndarray:
    return bias.shift_logits(logits, now, told, g.legal_shifts(now, told))


@pytest.mark.parametrize("together", [True, False])
def test_what_lies_behind_an_echo_is_rest(together):
    """And what begins with it, where nothing may."""
    now, logits = stream((12, PIANO, 60, 10)), np.random.default_rng(0).normal(size=102)
    now.echoes = np.array([[30, PIANO, 64, 10, 80]])
    alone = {"table": g.pitch_table([PIANO]), "voices": {PIANO: 1}, "sounding": {PIANO: np.arange(300) >= 30}}
    mass, before = np.exp(shift_logits(logits, now, limits(**({} if together else alone)))), np.exp(logits)
    stop = 18 + together
    np.testing.assert_allclose(mass[:stop], before[:stop])
    assert not mass[stop:101].any()
    np.testing.assert_allclose(mass[101], before[stop:].sum())


def test_what_lies_behind_the_end_is_rest():
    """Else what the model would play later is all played at the last place."""
    now, logits = stream((12, PIANO, 60, 10)), np.random.default_rng(0).normal(size=102)
    before = np.exp(logits)
    for places, first in ((None, 38), ([12, 37, 62], 38), ([12, 45, 51], 37)):  # 49 is nearer to 51
        nearest = None if places is None else g.nearest_place(np.array(places), 50)
        mass = np.exp(shift_logits(logits, now, limits(end=50, nearest=nearest)))
        np.testing.assert_allclose(mass[101], before[first:].sum())
        np.testing.assert_allclose(mass[:38].sum(), before[:first].sum())
        assert not mass[38:101].any()


def test_a_place_has_the_probability_of_what_lies_around_it_and_the_rest_keeps_its_own():
    """What is nearest to a place behind the clock is gone; what is nearest to one beyond the next second is rest."""
    now = stream((12, PIANO, 60, 10))
    logits = np.random.default_rng(0).normal(size=102)
    told = limits(nearest=g.nearest_place(np.array([10, 37, 62, 150]), 200))
    mass, before = np.exp(shift_logits(logits, now, told)), np.exp(logits)
    near = {25: range(12, 38), 50: range(38, 95)}  # the middles are 23.5, 49.5 and 106
    np.testing.assert_allclose([mass[shift] for shift in near], [before[list(steps)].sum() for steps in near.values()])
    np.testing.assert_allclose(mass[101], before[101] + before[95:101].sum())
    assert np.count_nonzero(mass) == 3
    np.testing.assert_allclose(shift_logits(logits, now, limits()), logits)


def test_pitches_agree_with_the_chord_of_their_time():
    """What is not in it has a share of its odds, or none; where there is no chord, and for drums, all is as it was."""
    chart = s.Chart.of(Notes.of([(1.0, 1.0, 7, CHORD, 64), (2.0, 1.0, 120, CHORD, 64)]))  # G, and then no chord
    inside = np.isin(np.arange(128) % 12, [7, 11, 2])
    seldom, never = (limits(chart=chart, stray=stray) for stray in (0.25, 0.0))
    for instrument in (PIANO, None):  # None: whichever is drawn with its pitch
        np.testing.assert_allclose(odds(seldom, 150, instrument), np.where(inside, 1.0, 0.25))
    np.testing.assert_array_equal(odds(never, 100, 33), inside.astype(float))
    for where in ((never, 99, PIANO), (never, 250, PIANO), (never, 150, DRUMS), (limits(chart=chart), 150, PIANO),
                  (limits(stray=0.0), 150, PIANO)):  # fmt: skip
        assert (odds(*where) == 1).all()


def test_a_bass_begins_a_chord_with_its_root():
    """With its first note under it, also where that is a little early; where there is no chord, and for who is not to,
    all is as it was."""
    chart = s.Chart.of(Notes.of([(0.0, 1.0, 0, CHORD, 64), (1.0, 1.0, 21, CHORD, 64), (2.0, 1.0, 120, CHORD, 64)]))
    told = limits(roots={33: 0.25})

    def own(clock: int, *drawn: tuple[int, int, int, int], instrument: int = 33) -> np.ndarray:
        return odds(told, clock, instrument, *drawn, chart=chart)

    c, a_minor = (np.where(np.arange(128) % 12 == root, 1.0, 0.25) for root in (0, 9))
    np.testing.assert_allclose(own(50), c)
    np.testing.assert_allclose(own(50, (20, PIANO, 60, 10)), c)
    for clock in (97, 100, 150):
        np.testing.assert_allclose(own(clock, (50, 33, 60, 10)), a_minor)
    assert (own(150, (98, 33, 60, 10)) == 1).all() and (own(96, (50, 33, 60, 10)) == 1).all()
    assert (own(250) == 1).all() and (own(50, instrument=PIANO) == 1).all()
    told = limits(roots={33: 0.25}, last=150)  # and it ends on it, for twice as much
    np.testing.assert_allclose(own(150, (98, 33, 60, 10)), a_minor**2)
    assert (own(140, (98, 33, 60, 10)) == 1).all()
    told = limits(roots={PIANO: 0.25}, last=150, chordal=(PIANO,))  # and its last one, who plays chords
    np.testing.assert_allclose(own(150, (98, PIANO, 40, 10), instrument=PIANO), a_minor**2)
    for one in (own(150, (150, PIANO, 40, 10), instrument=PIANO), own(100, instrument=PIANO)):
        assert (one == 1).all()


def test_a_bass_moves_under_a_chord():
    """The tones of its last notes are less likely again, in any octave and each time more, until the next chord begins,
    a little early even; those of others are not. What is not in the chord is as unlikely as any."""
    told = limits(stays={33: 0.25})
    chart = s.Chart.of(Notes.of([(0.0, 1.0, 0, CHORD, 64), (1.0, 1.0, 21, CHORD, 64)]))

    def own(clock: int, *drawn: tuple[int, int, int, int], instrument: int = 33, chart: s.Chart = chart) -> np.ndarray:
        return odds(told, clock, instrument, *drawn, chart=chart)

    pitch = np.arange(128) % 12
    again = np.select([pitch == 4, pitch == 7], [0.25, 1.0], 0.25**2)
    np.testing.assert_allclose(own(80, (20, 33, 48, 9), (40, 33, 64, 9), (50, 33, 60, 9), (50, PIANO, 67, 9)), again)
    assert own(80, *((10 * i, 33, 60, 9) for i in range(bias.LATELY + 2)))[72] == pytest.approx(0.25**bias.LATELY)
    np.testing.assert_allclose(own(150, (98, 33, 69, 10)), np.where(np.isin(pitch, [0, 4]), 1.0, 0.25))
    none = s.Chart.of(Notes.of([]))
    np.testing.assert_allclose(own(150, (50, 33, 60, 10), chart=none), np.where(pitch == 0, 0.25, 1.0))
    for one in (own(150, (50, 33, 60, 10)), own(97, (50, 33, 60, 10)), own(80, (50, PIANO, 60, 10)),
                own(80, (50, 33, 60, 10), instrument=PIANO)):  # fmt: skip
        assert (one == 1).all()


def test_a_tune_is_left_on_top():
    """By who plays under it, so far as it sounds; its own pitch is free."""
    tune = np.append(np.full(100, 72), np.full(901, 127))
    told = limits(tune=tune, chordal=(PIANO,))
    np.testing.assert_allclose(odds(told, 50, PIANO), np.where(np.arange(128) > 72, bias.OVER, 1.0))
    for where in ((told, 100, PIANO), (told, 50, 33), (limits(chordal=(PIANO,)), 50, PIANO)):
        assert (odds(*where) == 1).all()


def test_who_closes_with_some_notes_begins_them():
    """What would pass the last moment goes there, until that has as many; nothing else gains by it."""
    some = g.pitch_table([PIANO], np.arange(128) > 40)

    def gains(*drawn: tuple[int, int, int, int], end: int = 151, who: int = PIANO, many: int = 3) -> dict[int, float]:
        now, free = stream(*drawn), limits(end=end, table=some)
        told = limits(end=end, table=some, last=150, closes={who: many})
        odds = np.exp([shift_logits(np.zeros(g.REST_CLASS + 1), now, each) for each in (told, free)])
        return {int(i): (odds[0] - odds[1])[i] for i in np.flatnonzero(odds[0] != odds[1])}

    chord = [(150, PIANO, pitch, 10) for pitch in (60, 64, 67)]
    for shift, drawn in ((0, chord[:1]), (0, chord[:2]), (50, [(100, PIANO, 60, 10)])):
        rest = np.exp(shift_logits(np.zeros(g.REST_CLASS + 1), stream(*drawn), limits(end=151)))[-1]
        gained = rest * (1 - bias.LONE)
        assert gains(*drawn) == {shift: pytest.approx(gained), g.REST_CLASS: pytest.approx(-gained)}
    assert gains(*chord[:2], many=2) == gains(*chord) == gains(*chord[:1], who=24) == gains((20, PIANO, 60, 10)) == {}
    assert gains((100, PIANO, 60, 10), end=140) == {}  # it must not begin there


def test_what_was_just_begun_is_seldom_begun_again():
    """By a pitched part, at once; a chord's lowest note. A row of repeats that is there may go on."""

    def dear(*drawn: tuple[int, int, int, int], clock: int = 100, instrument: int = PIANO) -> list[int]:
        factors = np.exp(bias.pitch_bias(stream(*drawn), limits(), clock, instrument))
        np.testing.assert_allclose(factors[factors != 1], bias.AGAIN)
        return np.flatnonzero(factors != 1).tolist()

    last = (80, PIANO, 60, 10)
    assert dear(last) == dear((60, PIANO, 62, 10), last) == dear(last, (80, PIANO, 64, 10)) == dear(
        (60, PIANO, 60, 10), (60, PIANO, 62, 10), last) == dear(last, (90, 33, 40, 10)) == [60]  # fmt: skip
    assert dear((60, PIANO, 60, 10), last) == dear(last, clock=106) == dear(last, clock=80) == dear() == []
    assert dear(last, instrument=33) == dear((80, DRUMS, 38, 10), instrument=DRUMS) == []


def test_an_event_is_as_likely_as_its_step_is_usual():
    """Beside the others; the rest has the odds that it had, also where nothing is left to be usual."""
    usual = np.zeros(1001)
    usual[10:60] = np.log(0.25)
    logits = np.linspace(0.0, 1.0, g.REST_CLASS + 1)
    for one in (stream(), stream((20, PIANO, 60, 10))):
        told, plain = (shift_logits(logits, one, limits(**more)) for more in ({"usual": usual}, {}))
        more = told[:-1] - plain[:-1] - usual[one.clock :][: g.REST_CLASS]
        assert np.ptp(more) < 1e-9 < more[0] and told[-1] == plain[-1]
        assert np.logaddexp.reduce(told) == pytest.approx(np.logaddexp.reduce(plain))
    never = np.append(np.full(g.REST_CLASS, -np.inf), 0.0)
    np.testing.assert_array_equal(shift_logits(never, stream(), limits(usual=usual)), never)


def test_a_row_of_quick_repeats_is_seldom_gone_on_with():
    """The longer, the less. In any octave, and whether all of the tones come again or some; others than those do not
    count, nor slower ones, nor drums."""

    def costs(*drawn: tuple[int, int, int, int]) -> np.ndarray:
        now, even = stream(*drawn), np.zeros(g.REST_CLASS + 1)
        return (shift_logits(even, now, limits()) - shift_logits(even, now, limits(quick=20))) / bias.RUT

    def row(count: int, apart: int, *pitches: int, instrument: int = PIANO) -> list[tuple[int, int, int, int]]:
        return [(150 + apart * i, instrument, pitches[i % len(pitches)], 5) for i in range(count)]

    for count, times in ((1, 0), (2, 1), (4, 3), (12, bias.WHILE)):
        for pitches in ((60,), (60, 48)):
            found = costs(*row(count, 12, *pitches))
            assert found[4:20].tolist() == [times] * 16 and not found[20:].any() and not found[:4].any(), count
    both = [(time, PIANO, pitch, 5) for time in (150, 162) for pitch in (60, 64)]
    assert costs(*both)[10] == 1 and costs(*both[1:])[10] == 1 and costs(*both[:-1])[10] == 1
    for other in (row(8, 12, 60, 64, 67), row(8, 20, 60), row(8, 12, 42, instrument=DRUMS)):
        assert not costs(*other).any()


def test_where_the_piece_goes_as_before_so_does_a_part():
    """The rhythm, chord by chord: each place that is passed, and each that is added, has its price."""
    verse = [(0, PIANO, 60, 10), (0, PIANO, 62, 10), (50, PIANO, 60, 10), (180, PIANO, 60, 10)]
    before = np.tile([-1, 0], (1001, 1))
    before[[200, 225, 250], 0] = 0, 25, 50
    nearest, logits = g.nearest_place(np.array([0, 190, 200, 225, 250, 270]), 1000), np.zeros(102)
    told, free = limits(precedent=precedent.Verse(before), nearest=nearest), limits(nearest=nearest)

    def costs(*more: tuple[int, int, int, int], chart: s.Chart | None = None) -> list[float]:
        """Of beginning at each of these places, and of none."""
        now = stream(*verse, *more)
        now.chart = chart or now.chart
        at = [place - now.clock for place in (190, 200, 225, 250, 270) if place >= now.clock] + [g.REST_CLASS]
        return (shift_logits(logits, now, free)[at] - shift_logits(logits, now, told)[at]).tolist()

    one = precedent.ANEW
    np.testing.assert_allclose(costs(), [0, 0, 2 * one, one, 2 * one, 2 * one])
    np.testing.assert_allclose(costs((200, PIANO, 60, 10)), [0, 2 * one, one, 2 * one, 2 * one])
    np.testing.assert_allclose(costs((200, PIANO, 60, 10), (200, PIANO, 62, 10)), [one, one, 0, one, one])
    np.testing.assert_allclose(costs((200, PIANO, 64, 10)), [0, one, 0, one, one])  # nor is it made to climb
    another = s.Chart.of(Notes.of([(0.0, 2.0, 0, CHORD, 64), (2.0, 1.0, 21, CHORD, 64)]))
    np.testing.assert_allclose(costs((200, PIANO, 60, 10), chart=another), [0, one, 0, one, one])
    np.testing.assert_allclose(
        costs((200, PIANO, 60, 10), (200, PIANO, 64, 10), chart=another), [one, one, 0, one, one]
    )


def test_in_a_hole_a_part_goes_as_where_the_piece_goes_alike():
    """In the places and with the notes of there, for less; a chord that has other ones has no more of them."""
    table, keys = g.pitch_table([PIANO], ranges={PIANO: (0, 80)}), np.arange(128)
    told = limits(precedent=precedent.Elsewhere({200: [(PIANO, 60), (PIANO, 64)], 250: [(PIANO, 81)]}), table=table)

    def costs(*drawn: tuple[int, int, int, int]) -> tuple[list[float], np.ndarray]:
        """Of beginning at these places, and of none; and of each pitch now."""
        now, free = stream((190, PIANO, 60, 10), *drawn), limits(table=table)
        at = [place - now.clock for place in (200, 225, 250, 270)] + [g.REST_CLASS]
        shifts = (shift_logits(np.zeros(102), now, free) - shift_logits(np.zeros(102), now, told))[at]
        pitches = bias.pitch_bias(now, free, 200, PIANO) - bias.pitch_bias(now, told, 200, PIANO)
        return (shifts / precedent.OTHERWISE).tolist(), pitches / precedent.OTHERWISE

    np.testing.assert_allclose(costs()[0][:1] + costs()[0][2:4], [0, 1, 3])
    np.testing.assert_allclose(costs()[1], 1 * ~np.isin(keys, [60, 64]) + (keys > 60) + (keys > 64))
    one, two = (200, PIANO, 59, 10), (200, PIANO, 70, 10)
    assert 0 < precedent.OTHERWISE < precedent.ANEW and costs(one)[0][0] == 0 and costs(one, two)[0][0] == 1
    assert costs(one)[0][2] == costs(one, two)[0][2] + 1


def test_others_come_in_place_of_what_gave_way():
    """Among the notes that stay as the old ones lay, each one more for a higher price, other pitches but those that go
    on from the moment before."""
    told = limits(precedent=precedent.Displaced({200: [(PIANO, 60), (PIANO, 67)], 250: [(PIANO, 72), (DRUMS, 38)]}))

    def costs(*drawn: tuple[int, int, int, int], given: tuple[int, int] = (200, 64)) -> list[float]:
        """Of beginning at these places, and of none."""
        now = stream((190, PIANO, 72, 10), *drawn)
        now.echoes = np.array([(given[0], PIANO, given[1], 10, 64)])
        if now.clock >= given[0]:
            now.overtaken(s.event_rows(np.array([(given[0] + 1, PIANO, 0, 1, 1)]))[-1])
            now.rows = np.concatenate([now.rows, s.event_rows(np.zeros((0, 5), int), echoes=now.echoes)[-1:]])
        places = np.array([place - now.clock for place in (200, 225, 230, 250) if place >= now.clock])
        return (told.bias.precedent.shift_costs(now, told.table, places) / precedent.OTHERWISE).tolist()

    assert costs()[0] == 0 and costs()[1] == 1 + 1, "passed is what lies below the echo, and nothing was at 225"
    below = (200, PIANO, 59, 10)
    assert costs(below)[:2] == [0, 1 + 1], "the one above it is still to come"
    both = (200, PIANO, 59, 10), (200, PIANO, 70, 10)
    assert costs(*both, given=(600, 64)) == [1, 1, 1, 0, 1]
    assert costs(*both, (225, PIANO, 59, 10), given=(600, 64)) == [1, 2, 0, 1], "a second one costs more"
    pitches = [
        np.flatnonzero(bias.pitch_bias(stream(*drawn), told, clock, who) == -precedent.SAME).tolist()
        for drawn, clock, who in (([], 200, PIANO), ([(150, PIANO, 60, 10)], 200, PIANO), ([], 250, DRUMS))
    ]
    assert pitches == [[60, 67], [67], []]


def test_where_the_piece_goes_as_before_a_part_has_the_notes_that_it_had():
    """Those of its instrument, from the lowest up, if the chord is the same; drums have none."""
    chart = s.Chart.of(Notes.of([(0.0, 1.0, 0, CHORD, 64), (1.0, 1.0, 21, CHORD, 64), (2.0, 1.0, 0, CHORD, 64)]))
    table, keys = g.pitch_table([PIANO, 33, DRUMS]), np.arange(128)
    there = np.tile([-1, 0], (1001, 1))
    there[[120, 220, 240], 0] = 20, 20, 40
    told = limits(precedent=precedent.Verse(there), table=table)

    def costs(clock: int, instrument: int, *more: tuple[int, int, int, int]) -> np.ndarray:
        now = stream(*((20, *note, 10) for note in ((PIANO, 60), (PIANO, 64), (33, 36), (DRUMS, 38))), *more)
        now.chart = chart
        return -bias.pitch_bias(now, told, clock, instrument) / precedent.ANEW

    np.testing.assert_allclose(costs(220, PIANO), 1 * ~np.isin(keys, [60, 64]) + (keys > 60) + (keys > 64))
    np.testing.assert_allclose(costs(220, PIANO, (220, PIANO, 60, 10)), 1 * ~np.isin(keys, [60, 64]) + (keys > 64))
    np.testing.assert_allclose(costs(220, 33), 1 * (keys != 36) + (keys > 36))
    for clock in (120, 220):
        np.testing.assert_allclose(costs(clock, DRUMS), 1 * (keys != 38) + (keys > 38))
    for clock, instrument in ((120, PIANO), (240, PIANO), (230, PIANO), (220, 40)):
        assert not costs(clock, instrument).any()


def test_where_the_piece_goes_as_before_but_higher_a_part_has_its_notes_higher():
    """So far as it can play them, and if the chord is as much higher; drums stay."""
    chart = s.Chart.of(Notes.of([(0.0, 1.0, 0, CHORD, 64), (1.0, 1.0, 2, CHORD, 64), (2.0, 1.0, 1, CHORD, 64)]))
    keys, table = np.arange(128), g.pitch_table([PIANO, DRUMS], ranges={PIANO: (0, 80)})
    there = np.tile([-1, 0], (1001, 1))
    there[[120, 220]] = 20, 2
    told = limits(precedent=precedent.Verse(there), table=table)
    now = stream(*((20, *note, 10) for note in ((PIANO, 60), (PIANO, 64), (PIANO, 79), (DRUMS, 38))))
    now.chart = chart
    costs = -bias.pitch_bias(now, told, 120, PIANO) / precedent.ANEW
    np.testing.assert_allclose(costs, 1 * ~np.isin(keys, [62, 66]) + (keys > 62) + (keys > 66))
    assert not bias.pitch_bias(now, told, 220, PIANO).any()
    for clock in (120, 220):
        costs = -bias.pitch_bias(now, told, clock, DRUMS) / precedent.ANEW
        np.testing.assert_allclose(costs, 1 * (keys != 38) + (keys > 38))


def test_one_voice_makes_room_for_the_next_note():
    """Where a note reaches a little beyond its place, and several voices or none are told of, it stays as it is."""
    nearest = g.nearest_place(np.array([0, 25, 50, 75, 100]), 100)
    (row,) = s.event_rows(np.array([(25, 33, 40, 1, 64)]))

    def ends(duration: int, **more) -> int:
        row[s.DURATION] = duration
        return 25 + g.ending(limits(end=100, **({"polyphony": {33: 1}, "nearest": nearest} | more)), row)

    assert [ends(duration) for duration in (10, 25, 26, 35, 36, 50, 53, 300)] == [35, 50, 50, 50, 61, 75, 75, 325]
    for more in ({"polyphony": {33: 2}}, {"polyphony": {}}, {"polyphony": {PIANO: 1}}, {"nearest": None}):
        assert ends(26, **more) == 51


def test_nothing_to_write_is_rest():
    assert shifts(stream(), limits(table=g.pitch_table([]))) == []
