"""Laws of planned chords: drafts vote with their odds, and the plan is what they expect together."""

import numpy as np
from hypothesis import example, given
from hypothesis import strategies as st
from test_infilling import MELODY, ask

from anticipation.infilling import consensus as consensus_module
from anticipation.infilling.consensus import (
    DRAFTING,
    PASSAGE,
    SILENT,
    Draft,
    Opinion,
    Outlook,
    consensus,
    expected,
    passages,
    pooled,
    settled,
)
from anticipation.infilling.drafting import draw
from anticipation.infilling.prompt import Prompt
from anticipation.infilling.request import Infill
from anticipation.music.harmony import CHORD_TONES, NO_CHORD, chord_at, chord_notes
from anticipation.music.notes import CHORD, DRUMS, Notes
from anticipation.music.reprise import elsewhere
from anticipation.music.symbols import parse_chord
from anticipation.music.tempo import TempoMap

C, F, G, BB, DM, AM = (parse_chord(name) for name in ("C", "F", "G", "Bb", "Dm", "Am"))


def test_plans_cover_the_span_and_differ(random_model):
    plans = Outlook(ask(2.0, 8.0)).plan(random_model(), takes=3, seed=1, drafts=5)
    assert len(plans) == 3 and plans[0] != plans[1] != plans[2]
    for plan in plans:
        assert set(plan.instruments) <= {CHORD} and ((plan.onset >= 2) & (plan.onset < 8)).all()
        np.testing.assert_allclose(plan.offset, [*plan.onset[1:], 8.0])
    assert Outlook(ask(2.0, 8.0)).plan(random_model(), takes=1, seed=1, drafts=5) == plans[:1]


def test_of_many_plans_the_first_is_that_of_few(random_model):
    one = Outlook(ask(0.0, 4.0)).plan(random_model(), takes=1, seed=1, drafts=3)
    assert Outlook(ask(0.0, 4.0)).plan(random_model(), takes=5, seed=1, drafts=3)[:1] == one


@given(st.lists(st.floats(0.2, 3.0), min_size=1, max_size=200))
@example([0.2, 0.5, 0.2, 3.0, 3.0] * 7 + [0.2])
@example([2.9] + [2.6] * 17)
def test_passages_cover_a_span_and_overlap(lengths):
    """About as long as each other, none much longer than it should be; every beat is in one or two of them."""
    edges = np.cumsum([5.0, *lengths])
    spans = passages(edges)
    begun, ended = zip(*spans, strict=True)
    count = np.zeros(len(lengths), dtype=int)
    for first, last in spans:
        count[first:last] += 1
    assert begun[0] == 0 and ended[-1] == len(lengths) and count.min() >= 1 and count.max() <= 3
    assert len(spans) == 1 or all(edges[b] - edges[a] <= PASSAGE + 6.0 for a, b in spans)
    assert (len(spans) == 1) == (edges[-1] - edges[0] <= 1.5 * PASSAGE)


def test_a_long_span_is_drafted_in_passages(random_model, monkeypatch):
    """None outgrows the window, and the plan is one all the same."""
    melody = Notes.of([(0.5 * i, 0.4, 60 + (0, 4, 7)[i % 3], 73, 80) for i in range(180)])
    spans, real = [], consensus_module.draw

    def noted(model, asks, *rest):
        spans.append(asks)
        return real(model, asks, *rest)

    monkeypatch.setattr(consensus_module, "draw", noted)
    (plan,) = Outlook(Infill(melody, 0.0, 90.0, (0,))).plan(random_model(), drafts=4)
    assert [len(asks) for asks in spans] == [2] * 7 and max(ask.end - ask.start for (ask, *_) in spans) <= PASSAGE + 1
    assert plan.onset[0] == 0.0 and plan.end == 90.0


def test_the_chords_of_a_part_of_their_own_are_estimated(random_amt):
    """A model without chord symbols drafts piano parts."""
    melody = Notes.of([(0.5 * i, 0.4, 60 + (0, 4, 7)[i % 3], 73, 80) for i in range(16)])
    (plan,) = Outlook(Infill(melody, 0.0, 8.0, (0,))).plan(random_amt(), drafts=2)
    assert len(plan) and plan.onset[0] == 0.0 and plan.end == 8.0


@given(st.lists(st.sampled_from([C, F, G]), min_size=1, max_size=8), st.integers(1, 5))
def test_of_one_mind_the_consensus_is_what_all_think(symbols, count):
    edges = np.arange(len(symbols) + 1.0)
    chords = chord_notes(zip(edges[:-1], edges[1:], symbols, strict=True))
    assert consensus(expected([Draft.of(chords)] * count, edges), edges, 0.04) == chords


def test_doubt_counts_and_a_change_has_its_price():
    """One draft that is sure outweighs two that hardly prefer another chord; at a high price the chord stays."""
    edges = np.arange(3.0)
    sure = Draft(np.array([0.0, 1.0]), settled([C, F]))
    torn = Draft(np.array([0.0, 1.0]), 0.5 * settled([C, F]) + 0.5 * settled([C, G]))
    assert consensus(expected([torn, torn, sure], edges), edges, 0.04).pitch.tolist() == [C, F]
    assert consensus(expected([torn, torn, sure], edges), edges, 2.0).pitch.tolist() == [C]
    begun = Draft(np.array([0.0, 1.0]), settled([G, C]))
    assert chord_at(consensus(begun.at(edges[:-1] + 0.5), edges, 0.04), np.array([0.5, 1.5])).tolist() == [G, C]
    assert not Draft.of(Notes.of([])).at(edges).any()


def test_a_change_may_have_its_price_at_each_edge_and_from_the_chord_before():
    edges = np.arange(5.0)
    odds = 0.4 * settled([C]) + 0.6 * settled([F])
    odds = np.concatenate([settled([C]), odds, odds, settled([F])])
    for dear in (1, 2, 3):  # it waits until a change is cheap
        prices = np.where(np.arange(4) < dear, 2.0, 0.0)
        assert consensus(odds, edges, prices).onset.tolist() == [0.0, float(dear)]
    assert consensus(odds[1:2], edges[:2], 0.3).pitch.tolist() == [F]
    assert consensus(odds[1:2], edges[:2], 0.3, before=C).pitch.tolist() == [C]
    assert consensus(odds[1:2], edges[:2], np.array([0.01]), before=C).pitch.tolist() == [F]


def test_of_two_chords_one_is_said_and_not_what_lies_between():
    """D minor has two tones of F and two of B flat: by its tones alone it is the safest."""
    two = 0.4 * settled([F]) + 0.4 * settled([BB]) + 0.2 * settled([DM])
    assert consensus(two, np.arange(2.0), 0.04).pitch.tolist() in ([F], [BB])


def test_a_plan_differs_from_earlier_ones_where_that_costs_little():
    """A minor may stand for C; nothing may stand for what is sure. All come to the same end, and none is a stopgap."""
    edges = np.arange(5.0)
    either, sure = 0.5 * settled([C]) + 0.4 * settled([AM]), settled([F])
    odds = np.concatenate([either, sure, either, either])
    one = consensus(odds, edges, 0.01)
    two = consensus(odds, edges, 0.01, [one])
    assert one.pitch.tolist() == [C, F, C] and two.pitch.tolist() == [AM, F, C]
    assert consensus(odds, edges, 0.01, [one, two]).pitch.tolist() in ([C, F, C], [AM, F, C])
    fourth = np.concatenate([0.5 * settled([C]) + 0.4 * settled([G]), sure])  # Gsus4 lies between
    assert [consensus(fourth, edges[:3], 0.01, told).pitch.tolist() for told in ((), [one])] == [[C, F], [G, F]]


def test_what_all_find_likely_is_likelier_than_what_one_is_sure_of():
    """And nobody is heard who is not sure, nor rules out what the others say."""
    one = 0.6 * settled([C]) + 0.4 * settled([F])
    other = 0.6 * settled([G]) + 0.4 * settled([F])
    assert pooled([Opinion(one, 1.0), Opinion(other, 1.0)]).argmax() == F
    assert pooled([Opinion(one, 1.0), Opinion(settled([G]), np.zeros((1, 1)))]).argmax() == C
    assert pooled([Opinion(one, 1.0), Opinion(settled([NO_CHORD]), 1.0)]).argmax() == C
    assert (pooled([Opinion(one, 1.0), SILENT]) == pooled([Opinion(one, 1.0)])).all()
    np.testing.assert_allclose(pooled([Opinion(one, 1.0), Opinion(other, 1.0)]).sum(1), 1.0)


def test_a_draft_expects_what_it_is_drawn_from(random_model):
    """Over many drafts, first chords have each tone as often as is expected, and expectations scatter less. The key
    that the model hears them in is not the key that they come back in."""
    request = ask(2.0, 6.0, known=MELODY.transpose(3), instruments=(CHORD,))
    model = random_model()
    told = Prompt.of(model, request)
    notes, decoder = draw(model, [request] * 300, [(0, n) for n in range(300)], DRAFTING)
    drafts = [Draft.drawn(stream, told.origin, told.shift) for stream in decoder.streams]
    assert told.shift
    for chords, draft in zip(notes, drafts, strict=True):
        assert len(chords) == len(draft.onset) == len(draft.odds)
        np.testing.assert_allclose(chords.onset, draft.onset, atol=0.011)  # the grid undone
    first = np.array([draft.odds[0] @ CHORD_TONES[:NO_CHORD] for draft in drafts if len(draft.onset)])
    drawn = np.array([CHORD_TONES[chords.pitch[0]] for chords in notes if len(chords)], float)
    assert len(first) > 200 and ((first >= 0) & (first <= 1)).all()
    assert (abs(drawn.mean(0) - first.mean(0)) < 4 * drawn.std(0) / len(drawn) ** 0.5 + 0.02).all()
    assert first.var(0).sum() < 0.5 * drawn.var(0).sum()


VERSE = [parse_chord(name) for name in "C Ab Db Gb A D Bm E F#m B Eb Cm Fm Bb Ebm Ab".split()]


def two_verses() -> tuple[Notes, Notes]:
    """A verse of 32 s, played twice in block chords of 2 s, and their beats."""
    played = Notes.of(
        (2.0 * i + again, 1.9, 60 + int(tone), 0, 80)
        for again in (0.0, 32.0)
        for i, symbol in enumerate(VERSE)
        for tone in np.flatnonzero(CHORD_TONES[symbol])
    )
    return played, TempoMap.constant(120.0).beats(64.0)


def test_what_goes_on_as_it_did_before_has_the_chords_of_then(random_model, monkeypatch):
    """Nothing is drafted for it; where nothing is alike, or no beat is known, there is nothing to plan."""
    monkeypatch.setattr(consensus_module, "drafted", None)
    played, beats = two_verses()
    told = played.between(0.0, 48.0)
    request = ask(48.0, 56.0, told + beats, (0,))
    assert Outlook(request).harmonises
    for plan in Outlook(request).plan(random_model(), takes=2):
        assert plan.pitch.tolist() == VERSE[8:12]
        np.testing.assert_allclose(plan.onset, [48, 50, 52, 54])
    new = told.between(0.0, 32.0) + told.between(32.0, 48.0).shift(0.25)
    for silent in (told, new + beats, told.between(0.0, 32.0) + beats, beats):
        assert not Outlook(ask(48.0, 56.0, silent, (0,))).harmonises
    assert not Outlook(ask(16.0, 24.0, told.between(0.0, 16.0) + beats, (0,))).harmonises
    assert not Outlook(ask(48.0, 56.0, told + beats, (DRUMS,))).harmonises


def test_an_interlude_has_chords_that_go_on(random_model):
    """Those of the tune that it leads to, four bars ahead, in place of one; the last bars lead nowhere."""
    arpeggios = [(60, 64, 67, 64), (65, 69, 72, 69), (67, 71, 74, 71), (60, 64, 67, 72)]  # C, F, G, C
    tune = Notes.of((8.0 + 0.5 * i, 0.5, pitch, 73, 80) for i, pitch in enumerate(np.ravel(arpeggios).tolist()))
    (plan,) = Outlook(ask(0.0, 16.0, tune + TempoMap.constant(120.0).beats(16.0))).plan(random_model(), drafts=1)
    chords = chord_at(plan, np.arange(0.1, 16.0, 0.5))
    assert (chords[:16] == chords[16:]).all() and len(set(chords.tolist())) > 1


def test_what_is_alike_is_looked_for_once(random_model, monkeypatch):
    asked, (played, beats) = [], two_verses()
    monkeypatch.setattr(consensus_module, "elsewhere", lambda *where: asked.append(where) or elsewhere(*where))
    outlook = Outlook(ask(48.0, 56.0, played.between(0.0, 48.0) + beats, (0,)))
    assert outlook.harmonises and len(outlook.plan(random_model(), takes=2)) == 2 and len(asked) == 1


def test_a_hole_has_the_chords_of_the_verse_that_goes_on_like_it():
    """Which no song that was counted, and no draft, can know; a tune alone plays no chords that could come again."""
    symbols, (played, beats) = VERSE, two_verses()
    hole = played.between(0, 44.0) + played.between(52.0, 64.0) + beats
    odds, weight = Outlook(ask(44.0, 52.0, hole)).heard_elsewhere
    assert (odds.argmax(1) == np.repeat(symbols[6:10], 4)).all() and (weight > 1.0).all()
    np.testing.assert_allclose(odds.sum(1), 1.0)
    tune = played[np.append(True, np.diff(played.onset) > 0)]
    for silent in (tune.between(0, 44.0) + beats, played.between(44.0, 52.0) + beats, beats, played.between(0, 44.0)):
        assert not Outlook(ask(44.0, 52.0, silent)).heard_elsewhere.weight.any()
