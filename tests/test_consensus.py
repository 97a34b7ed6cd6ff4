"""Laws of planned chords: opinions are pooled, takes differ where that costs little, and a seed has its taste."""

import numpy as np
from hypothesis import given
from hypothesis import strategies as st
from test_infilling import ask

from anticipation.infilling import consensus as consensus_module
from anticipation.infilling.consensus import (
    SILENT,
    Opinion,
    Outlook,
    consensus,
    pooled,
    settled,
    taste,
)
from anticipation.music.harmony import CHORD_TONES, NO_CHORD, chord_at, chord_notes
from anticipation.music.notes import CHORD, DRUMS, Notes
from anticipation.music.reprise import elsewhere
from anticipation.music.symbols import parse_chord
from anticipation.music.tempo import TempoMap

C, F, G, BB, DM, AM = (parse_chord(name) for name in ("C", "F", "G", "Bb", "Dm", "Am"))


def test_plans_cover_the_span_and_differ():
    plans = Outlook(ask(2.0, 8.0)).plan(takes=3, seed=1)
    assert len(plans) == 3 and plans[0] != plans[1] != plans[2]
    for plan in plans:
        assert set(plan.instruments) <= {CHORD} and ((plan.onset >= 2) & (plan.onset < 8)).all()
        np.testing.assert_allclose(plan.offset, [*plan.onset[1:], 8.0])
    assert Outlook(ask(2.0, 8.0)).plan(takes=1, seed=1) == plans[:1]


def test_of_many_plans_the_first_is_that_of_few():
    one = Outlook(ask(0.0, 4.0)).plan(takes=1, seed=1)
    assert Outlook(ask(0.0, 4.0)).plan(takes=5, seed=1)[:1] == one


@given(st.lists(st.sampled_from([C, F, G]), min_size=1, max_size=8))
def test_what_is_certain_is_the_plan(symbols):
    edges = np.arange(len(symbols) + 1.0)
    chords = chord_notes(zip(edges[:-1], edges[1:], symbols, strict=True))
    assert consensus(settled(np.array(symbols)), edges, 0.04) == chords


def test_a_change_has_its_price():
    edges, odds = np.arange(3.0), np.concatenate([settled([C]), 0.4 * settled([C]) + 0.6 * settled([F])])
    assert [consensus(odds, edges, price).pitch.tolist() for price in (0.04, 2.0)] == [[C, F], [C]]


def test_seeds_have_their_taste():
    """The same seed the same one, whatever is planned; several seeds come to more than one plan of a lone tune."""
    tune = Notes.of((0.5 * i, 0.5, 60 + (0, 4, 2, 9, 7, 5, 4, 0)[i % 8], 73, 80) for i in range(64))
    outlook = Outlook(ask(0.0, 32.0, tune + TempoMap.constant(120.0).beats(32.0)))
    plans = [outlook.plan(seed=seed)[0] for seed in range(8)]
    assert any(plan != plans[0] for plan in plans) and outlook.plan(seed=3)[0] == plans[3]
    like, other = (np.log(taste(*of).odds) for of in ((3, 0), (3, 1)))
    assert abs(np.corrcoef(like, other)[0, 1]) < 0.4


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


def test_what_goes_on_as_it_did_before_has_the_chords_of_then():
    """In every take; where nothing is alike, or no beat is known, there is nothing to plan."""
    played, beats = two_verses()
    told = played.between(0.0, 48.0)
    request = ask(48.0, 56.0, told + beats, (0,))
    assert Outlook(request).harmonises
    for plan in Outlook(request).plan(takes=2):
        assert plan.pitch.tolist() == VERSE[8:12]
        np.testing.assert_allclose(plan.onset, [48, 50, 52, 54])
    new = told.between(0.0, 32.0) + told.between(32.0, 48.0).shift(0.25)
    for silent in (told, new + beats, told.between(0.0, 32.0) + beats, beats):
        assert not Outlook(ask(48.0, 56.0, silent, (0,))).harmonises
    assert not Outlook(ask(16.0, 24.0, told.between(0.0, 16.0) + beats, (0,))).harmonises
    assert not Outlook(ask(48.0, 56.0, told + beats, (DRUMS,))).harmonises


def test_an_interlude_has_chords_that_go_on():
    """Those of the tune that it leads to, four bars ahead, in place of one; the last bars lead nowhere."""
    arpeggios = [(60, 64, 67, 64), (65, 69, 72, 69), (67, 71, 74, 71), (60, 64, 67, 72)]  # C, F, G, C
    tune = Notes.of((8.0 + 0.5 * i, 0.5, pitch, 73, 80) for i, pitch in enumerate(np.ravel(arpeggios).tolist()))
    (plan,) = Outlook(ask(0.0, 16.0, tune + TempoMap.constant(120.0).beats(16.0))).plan()
    chords = chord_at(plan, np.arange(0.1, 16.0, 0.5))
    assert (chords[:16] == chords[16:]).all() and len(set(chords.tolist())) > 1


def test_what_is_alike_is_looked_for_once(random_model, monkeypatch):
    asked, (played, beats) = [], two_verses()
    monkeypatch.setattr(consensus_module, "elsewhere", lambda *where: asked.append(where) or elsewhere(*where))
    outlook = Outlook(ask(48.0, 56.0, played.between(0.0, 48.0) + beats, (0,)))
    assert outlook.harmonises and len(outlook.plan(takes=2)) == 2 and len(asked) == 1


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
