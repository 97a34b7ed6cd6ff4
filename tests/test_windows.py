"""Laws of training windows: a function of (seed, step), made of the piece's own notes, legal for the grammar."""

from itertools import pairwise

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from strategies import notes

from anticipation.data.shards import Shards
from anticipation.data.windows import CONTROLS, Odds, Windows, choose_controls, live_told
from anticipation.model import stream as s
from anticipation.model.features import FIELD_SIZES, OFFSETS, targets
from anticipation.model.grammar import REST_CLASS, legal_table
from anticipation.music.keys import to_c
from anticipation.music.notes import BEAT, CHORD, DRUMS

LENGTH = 64
SEVERAL = [Odds(), *(Odds.plain(kind, chords) for kind in CONTROLS for chords in ("hidden", "given", "written"))]


def windows(shards, split="train", seed=1, **more) -> Windows:
    return Windows(shards, split, batch=4, length=more.pop("length", LENGTH), seed=seed, **more)


def same(one: dict, other: dict) -> bool:
    return all(np.array_equal(one[name], other[name]) for name in one)


def test_a_batch_is_a_function_of_seed_and_step(shards):
    """Whatever was asked before: so a resumed run sees what an uninterrupted one would have seen."""
    one, other = windows(shards), windows(shards)
    forwards, backwards = [one[step] for step in range(4)], [other[step] for step in (3, 2, 1, 0)]
    assert all(same(a, b) for a, b in zip(forwards, reversed(backwards), strict=True))
    assert not same(forwards[0], forwards[1]) and len({rows.tobytes() for rows in forwards[0]["features"]}) == 4
    assert not same(forwards[0], windows(shards, seed=2)[0])


@pytest.mark.parametrize(
    "odds", SEVERAL, ids=lambda r: "-".join([*r.controls, *r.chords]) if len(r.controls) == 1 else "all"
)
def test_a_window_is_made_of_the_notes_of_its_piece(shards, odds):
    """Transposed as one, and slowed down as one; each note once, as an event or as a control."""
    data = windows(shards, odds=odds)
    for step in range(6):
        rows, piece = data.rows(step, 0)
        notes = shards.notes(piece).audible
        given = np.isin(rows[:, s.KIND], s.NOTES) & (rows[:, s.INSTRUMENT] < CHORD)
        own = rows[given][np.lexsort((rows[given, s.PITCH], rows[given, s.INSTRUMENT], rows[given, s.AT]))]
        assert len(rows) <= LENGTH and (rows[given, s.INSTRUMENT] != BEAT).all()
        assert len(np.unique(own[:, [s.AT, s.INSTRUMENT, s.PITCH]], axis=0)) == len(own)
        assert set(own[:, s.INSTRUMENT]) <= set(notes.instrument)
        assert set(own[:, s.VELOCITY]) <= set(notes.velocity)
        assert any(
            found(own, notes.replace(pitch=notes.pitch + shift * (notes.instrument < 128))) for shift in range(-11, 12)
        )


@pytest.mark.parametrize("kind", ["random", "span", "parts", "live"])
def test_given_notes_of_what_is_written_are_echoed_but_not_to_who_plays_live(shards, kind):
    seen = 0
    for step in range(6):
        rows, _ = windows(shards, odds=Odds({kind: 1.0}, plans=False)).rows(step, 0)
        control, echo, event = (rows[rows[:, s.KIND] == which] for which in (s.CONTROL, s.ECHO, s.EVENT))
        own = control[
            np.isin(control[:, s.INSTRUMENT], event[:, s.INSTRUMENT]) & (control[:, s.AT] < rows[-1, s.CLOCK])
        ]
        seen += len(echo)
        if kind == "live":
            assert not len(echo)
        elif len(own):
            names = [s.AT, s.INSTRUMENT, s.PITCH]
            assert {tuple(row) for row in own[:, names]} <= {tuple(row) for row in echo[:, names]}
    assert seen or kind in ("live", "parts")


def found(own: np.ndarray, notes) -> bool:
    """Whether all (instrument, pitch) pairs are the piece's."""
    pairs = set(zip(notes.instrument.tolist(), notes.pitch.tolist(), strict=True))
    return {(int(row[s.INSTRUMENT]), int(row[s.PITCH])) for row in own} <= pairs


@pytest.mark.parametrize("odds", SEVERAL[:1] + SEVERAL[1::5])
def test_what_is_to_be_learnt_is_legal(shards, odds):
    """Every event is in order by the decoder's own grammar, so nothing is taught that is never allowed."""
    from anticipation.model.grammar import Limits, pitch_table

    limits = Limits(0, 1 << 30, pitch_table([0, 73, 128, CHORD]))
    data = windows(shards, odds=odds)
    for step in range(3):
        rows, _ = data.rows(step, 0)
        for i in np.flatnonzero(rows[1:, s.KIND] == s.EVENT).tolist():
            stream = s.Stream(
                s.Chart.of(shards.notes(shards.pieces[0])[:0]),
                np.zeros((0, 5)),
                0,
                np.random.default_rng(0),
                rows=rows[: i + 1],
            )
            row = rows[i + 1]
            assert (
                0 <= row[s.SHIFT] <= s.REST
                and legal_table(stream, limits, int(row[s.SHIFT]))[row[s.INSTRUMENT], row[s.PITCH]]
            )


def test_batches_fit_the_model(shards):
    batch = windows(shards)[0]
    assert all(column.shape[:2] == (4, LENGTH) for column in batch.values())
    targets = batch["targets"]
    assert ((targets == -100) | ((targets >= 0) & (targets < FIELD_SIZES))).all()
    assert ((targets[..., 0] == REST_CLASS) <= (targets[..., 1:] == -100).all(-1)).all()
    assert batch["features"].min() >= 0 and batch["features"].max() < OFFSETS[-1]
    assert (np.diff(batch["clock"]) >= 0).all() and batch["heard"].min() >= 0 and batch["heard"].max() <= 1


def test_controls_are_given_early_and_a_player_comes_late(shards):
    for kind, early in (("parts", True), ("live", False)):
        data = windows(shards, odds=Odds.plain(kind))
        for step in range(8):
            rows, _ = data.rows(step, 0)
            assert (rows[0, s.SHIFT] > 0) == early
            controls = rows[rows[:, s.KIND] == s.CONTROL]
            assert (controls[:, s.SHIFT] <= rows[0, s.SHIFT]).all()


def test_a_live_window_is_looked_at(shards):
    """Every look is told that it is one, so a rest that is drawn is always a whole second; others have none here."""
    for kind, looked in (("parts", False), ("live", True)):
        several = [windows(shards, odds=Odds.plain(kind)).rows(step, 0)[0] for step in range(8)]
        shorter = [(rows[:, s.KIND] == s.REST_KIND) & (rows[:, s.SHIFT] < s.REST) for rows in several]
        assert any(map(np.any, shorter)) == looked
        for rows, look in zip(several, shorter, strict=True):
            assert (targets(rows)[:-1, 0][look[1:]] == -100).all()


@given(notes(40), st.lists(st.integers(1, 2500), max_size=6, unique=True), st.integers(-100, 500), st.integers(0, 9))
def test_what_a_live_band_is_told(music, looks, delta, seed):
    """Of the player no more than the rule has it, and nothing for a while after a look; of the other parts each note in
    its turn, before the writer can pass it, and at a look everything that has begun."""
    table, looks = s.quantise(music), np.array(sorted(looks), dtype=np.int64)
    mates = np.isin(table[:, 1], (24, 33, DRUMS))
    told = live_told(table, mates, delta, looks, np.random.default_rng(seed))
    onset = table[:, 0]
    assert (told[~mates] >= onset[~mates] - delta).all()
    for look, following in pairwise([*looks.tolist(), 10**9]):
        unheard = (told > look) & (told < min(look + 10, following))
        assert delta >= 0 or not unheard[~mates].any()
        assert (told[mates & (onset < look)] <= look).all()
        assert (told[mates & (onset >= look)] >= look).all()
    for part in np.unique(table[mates, 1]):
        own = table[:, 1] == part
        assert (told[own] <= onset[own] + max(-delta, 5)).all()
        early = np.flatnonzero(told[own] < onset[own])[1:]
        assert (told[own][early] >= np.minimum(onset[own][early - 1], onset[own][early] - s.REST)).all()


def test_the_kinds_of_controls(shards):
    notes, rng = shards.notes(shards.split("train")[0]).audible, np.random.default_rng(0)
    assert not choose_controls(notes, "none", rng).any()
    for _ in range(8):
        live = choose_controls(notes, "live", rng)
        assert (
            len(np.unique(notes.instrument[live])) == 1
            and not np.isin(notes.instrument[~live], notes.instrument[live]).any()
        )
        assert not any(choose_controls(notes, kind, rng).all() for kind in CONTROLS)


def test_keys_are_brought_to_c():
    assert [(key + to_c(key)) % 12 for key in range(12)] == [0] * 12 and {to_c(key) for key in range(12)} == set(
        range(-5, 7)
    )


def test_a_mix_has_its_shares(shards):
    data = windows(shards, mix={"band": 0.9, "pop909": 0.1})
    sources = [data.rows(step, 0)[1].source for step in range(60)]
    assert sources.count("band") > 40
    assert {data.rows(step, 0)[1].split for step in range(20)} == {"train"}


def test_takes_of_one_piece_share_what_one_piece_would_have(shards):
    from dataclasses import replace

    alone = windows(shards)
    again = Shards(shards.folder)
    again.pieces = [replace(p, alike=2) if i < 2 else p for i, p in enumerate(again.pieces)]
    half = windows(again)
    assert half.chance.sum() == pytest.approx(1)
    ratio = half.chance / alone.chance
    takes = np.array([p.alike == 2 for p in half.pieces])
    assert takes.any() and ratio[takes] == pytest.approx(ratio[~takes][0] / 2)
