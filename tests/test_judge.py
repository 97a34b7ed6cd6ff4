"""Laws of the judge: the cases are cut out of the pieces and nothing else, the anchors are what they say, the figures
can be worked by hand, and the same seed makes the same table."""

import json
import sys
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace

import _script
import anchors
import judge
import listen
import numpy as np
import pytest
from cases import HOLE, MELODY, PIANO, SECONDS, TASKS, Case, cases

from anticipation.data.memory import Memory
from anticipation.data.shards import Piece
from anticipation.errors import FileError, RequestError
from anticipation.music.harmony import chord_notes
from anticipation.music.notes import BEAT, DRUMS, Notes

LENGTH = 48.0


def song(seed: int, instruments=(MELODY, PIANO)) -> Notes:
    """A tune over block chords at 120 bpm, with beats and chords, after a second of nothing."""
    rng = np.random.default_rng(seed)
    rows, symbols = [], []
    for beat in range(int(2 * LENGTH)):
        root = int(rng.integers(0, 12)) if beat % 4 == 0 else root  # noqa: F821
        at = 1.0 + 0.5 * beat
        rows.append((at, 0.4, 72 + (root + int(rng.choice([0, 4, 7]))) % 12, instruments[0], 60 + beat % 50))
        rows += [(at, 0.5, 48 + (root + step) % 12, instruments[1], 70) for step in (0, 4, 7)]
        rows.append((at, 0.5, beat % 4, BEAT, 64))
        symbols += [(at, at + 2.0, root)] if beat % 4 == 0 else []
    return Notes.of(rows) + chord_notes(symbols)


class Toy:
    """Shards of a few pieces in memory."""

    def __init__(self) -> None:
        self.table: dict[Piece, Notes] = {}
        for i in range(6):
            self.add("pop909", f"{i}.mid", "dev" if i < 3 else "train", song(i))
            self.add("duo", f"{i}.mid", "valid" if i < 3 else "train", song(50 + i, (73, 24)))
        drums = Notes.of((0.25 * i, 0.1, 36 + i % 2 * 2, DRUMS, 90) for i in range(200))
        self.add("groove", "0.mid", "valid", drums)
        self.add("duo", "short.mid", "valid", song(9)[:10])

    def add(self, source: str, name: str, split: str, notes: Notes) -> None:
        audible = notes.audible
        self.table[Piece(source, name, split, 0, len(notes), len(audible), audible.end, "")] = notes

    def split(self, name: str) -> list[Piece]:
        return [piece for piece in self.table if piece.split == name]

    def notes(self, piece: Piece) -> Notes:
        return self.table[piece]


@pytest.fixture(scope="module")
def toy() -> Toy:
    return Toy()


@pytest.mark.parametrize("task", TASKS)
@pytest.mark.parametrize("seed", [0, 1])
def test_a_case_is_the_piece_and_nothing_else(toy, task, seed):
    found = list(cases(toy, task, seed))
    assert len(found) >= 3
    for case in found:
        assert case.piece.split in ("dev", "valid") and len(case.human) and len(case.known)
        assert ((case.human.onset >= case.start) & (case.human.onset < case.end)).all()
        assert set(case.human.instruments) <= set(case.instruments)
        whole, both = toy.notes(case.piece).audible, case.known + case.human
        start = [t for t in whole.onset - both.onset[0] if len(whole.between(t, t + both.end).shift(-t)) >= len(both)]
        assert any(_holds(whole.shift(-t), both) for t in start), "every note is the piece's, at one shift"
        assert case.known.onset.min() >= 0 and (case.beats.onset >= 0).all() and (case.chords.onset >= 0).all()


def _holds(whole: Notes, some: Notes) -> bool:
    rows = {(round(t, 6), p, i) for t, _, p, i, _ in whole}
    return all((round(t, 6), p, i) in rows for t, _, p, i, _ in some)


def test_what_each_task_gives(toy):
    (melody, *_) = cases(toy, "accompany")
    assert melody.known.instruments == [MELODY] and melody.human.instruments == [PIANO]
    assert melody.known.onset[0] == pytest.approx(0.05) and melody.end == SECONDS
    for case in cases(toy, "parts"):
        assert not set(case.known.instruments) & set(case.human.instruments)
        assert len(case.known.instruments + case.human.instruments) == 2
    for case in cases(toy, "hole"):
        assert case.end - case.start == pytest.approx(HOLE) and not len(case.known.between(case.start, case.end))
        assert len(case.known.between(0, case.start)) and len(case.known.between(case.end, 99))
        assert set(case.instruments) == set((case.known + case.human).instruments), "not who plays in it"
    first = [case.human.onset[0] - case.start for seed in range(4) for case in cases(toy, "hole", seed)]
    assert np.ptp(first) > 0.1, "where it begins does not say when the human does"
    for case in cases(toy, "half"):
        assert 0.3 < len(case.known) / (len(case.known) + len(case.human)) < 0.7


def test_cases_are_drawn_by_the_seed_and_by_turns(toy):
    def names(seed, most=None):
        return [(case.name, case.start) for case in cases(toy, "hole", seed, most)]

    assert names(1) == names(1) != names(2) and names(1, 4) == names(1)[:4]
    assert {name.split("/")[0] for name, _ in names(1, 3)} == {"duo", "groove", "pop909"}
    assert len(list(cases(toy, "accompany", 0, 2))) == 2


# ---- anchors -------------------------------------------------------------------------------------------------------


def simple(**changes) -> Case:
    """Two bars of 4/4 at 120 bpm, a melody over four piano notes."""
    piece = Piece("pop909", "x.mid", "dev", 0, 0, 0, 4.0, "")
    melody = Notes.of((0.5 * i, 0.5, 72 + i, MELODY, 64) for i in range(8))
    human = Notes.of((t, 0.5, p, PIANO, 64) for t, p in ((0.0, 48), (1.0, 52), (2.0, 53), (3.5, 55)))
    beats = Notes.of((0.5 * i, 0.5, i % 4, BEAT, 64) for i in range(8))
    case = Case("accompany", piece, melody, human, 0.0, 4.0, (PIANO,), melody, beats, Notes.of([]))
    return replace(case, **changes)


def pairs(notes: Notes) -> list[tuple[float, int]]:
    return [(t, p) for t, _, p, _, _ in notes]


def test_anchors_by_hand():
    one, two = simple(), simple(human=simple().human.transpose(12), start=10.0, end=14.0)
    two = replace(two, human=two.human.shift(10.0))
    assert [len(notes) for notes in anchors.silence([one, two])] == [0, 0]
    assert pairs(next(anchors.another([one, two]))) == [(0.0, 60), (1.0, 64), (2.0, 65), (3.5, 67)]
    assert pairs(next(anchors.previous_bar([one]))) == [(2.0, 48), (3.0, 52)]
    (mixed,) = anchors.melody_pitches([one])
    assert np.array_equal(mixed.onset, one.human.onset) and set(mixed.pitch) <= set(one.melody.pitch)
    assert next(anchors.human([one])) == one.human


def test_the_bar_before_a_hole_fills_it():
    known = Notes.of([(8.0, 0.5, 40, PIANO, 64), (9.5, 0.5, 41, PIANO, 64), (8.0, 0.5, 90, 73, 64)])
    beats = Notes.of((0.5 * i, 0.5, i % 4, BEAT, 64) for i in range(40))
    hole = simple(task="hole", known=known, human=Notes.of([]), start=10.0, end=14.0, beats=beats)
    assert pairs(next(anchors.previous_bar([hole]))) == [(10.0, 40), (11.5, 41), (12.0, 40), (13.5, 41)]


@pytest.mark.parametrize("task", TASKS)
def test_the_nearest_neighbour_is_found_in_another_key(toy, task):
    """The piece itself, two tones up, is among the training pieces: it is found, and its part brought back."""
    shelf = Toy()
    asked = next(case for case in cases(toy, task, 3) if case.piece.source != "groove")
    notes = toy.notes(asked.piece)
    if task == "parts":
        shelf.table = {p: n for p, n in shelf.table.items() if p.source != "pop909" or p.split != "train"}
    shelf.add(asked.piece.source, "itself.mid", "train", notes.transpose(4).shift(0.3))
    (found,) = anchors.Retrieval(shelf, 0)([asked])
    if task != "half":
        np.testing.assert_allclose(found.onset, asked.human.onset, atol=0.06)
        assert np.array_equal(found.pitch, asked.human.pitch)
    else:
        assert {(round(t), p % 12) for t, p in pairs(found)} <= {
            (round(t + slip), p % 12) for t, p in pairs(asked.human + asked.known) for slip in (-0.06, 0.06)
        }


# ---- figures -------------------------------------------------------------------------------------------------------


def test_figures_by_hand():
    rows = judge.Row("t", "x", {"harmony %": np.array([[1, 2], [2, 2], [0, 0]]), "density": np.array([[1, 2], [3, 1]])})
    assert rows.value("harmony %", np.array([[0, 1, 2], [0, 0, 0], [1, 1, 1]])).tolist() == [75.0, 50.0, 100.0]
    assert np.isnan(rows.value("harmony %", np.array([[2, 2]])))
    assert rows.value("density", np.array([[0, 1], [0, 0]])).tolist() == [1.75, 0.5]


def test_intervals_are_those_of_the_normal_law_where_it_holds():
    """Of 400 pieces that pass or not, half each: 50 % plus or minus 1.96 standard errors of 2.5."""
    passed = np.stack([np.arange(400) % 2, np.ones(400)], axis=1).astype(float)
    row = judge.Row("t", "x", {"empty %": passed})
    value, low, high = row.interval("empty %", 0)
    assert value == 50 and low == pytest.approx(45.1, abs=0.6) and high == pytest.approx(54.9, abs=0.6)
    assert row.interval("empty %", 0) == row.interval("empty %", 0) != row.interval("empty %", 1)


def test_differences_are_taken_piece_by_piece():
    """Two writers that differ a lot from piece to piece and always by the same from each other."""
    base = np.stack([np.arange(100), np.full(100, 200)], axis=1).astype(float)
    one = judge.Row("t", "a", {"support %": base})
    two = judge.Row("t", "b", {"support %": base + [2, 0]})
    assert one.interval("support %", 0, one) == (0, 0, 0)
    assert two.interval("support %", 0, one) == pytest.approx((1, 1, 1))
    low, high = two.interval("support %", 0)[1:]
    assert high - low > 4, "each alone is unsure"


def test_the_human_is_the_upper_anchor(toy):
    jury = judge.Judge(toy)
    questions = jury.cases("parts")
    row = jury.score("parts", "human", questions, [[case.human] for case in questions])
    for rubric in ("onset F1 50 ms %", "onset F1 1/16 %", "groove %", "pitch classes %"):
        assert row.interval(rubric, 0)[0] == pytest.approx(100)
    assert row.interval("density", 0)[0] == 1 and row.interval("empty %", 0)[0] == 0
    assert set(row.pairs) == set(judge.RUBRICS)


def test_copies_are_counted_in_bars():
    memory = Memory.build([("a/b", tune := song(5).of_instruments([MELODY]))])
    case = replace(simple(), end=24.0, beats=Notes.of((0.5 * i, 0.5, i % 4, BEAT, 64) for i in range(60)))
    rubrics = judge.copies(memory)
    assert list(rubrics) == ["copies of 4 bars %", "copies of 8 bars %", "longest match, % of bars"]
    long, short = tune.between(1.0, 25.0).shift(-1.0), tune.between(1.0, 13.0).shift(-1.0)
    eight = rubrics["copies of 8 bars %"]
    assert eight(long, case) == (True, 1) and eight(short, case) == (False, 1)
    assert rubrics["longest match, % of bars"](Notes.of([]), case) == (0.0, 12.0)
    bars, of = rubrics["longest match, % of bars"](short, case)
    assert 3 <= bars <= 6 and of == 12
    figure = short + short.shift(12.0)
    assert rubrics["longest match, % of bars"](figure, case)[0] <= 6, "played on and on it is four bars still"


# ---- with a model --------------------------------------------------------------------------------------------------


@pytest.fixture
def run(toy, random_checkpoint, monkeypatch, capsys):
    """run(script, *argv) -> (exit code, stdout, stderr) of a script's main, on the toy shards."""
    for script in (judge, listen):
        monkeypatch.setattr(script, "Shards", lambda folder: toy)

    def call(script, *argv) -> tuple[int, str, str]:
        monkeypatch.setattr(sys, "argv", [f"{script.__name__}.py", str(random_checkpoint), "shards", *map(str, argv)])
        try:
            _script.run(script.main)
            code = 0
        except SystemExit as stop:
            code = stop.code
        return code, *capsys.readouterr()

    return call


def test_two_checkpoints_in_one_run(run, random_checkpoint):
    flags = ["--songs", "1", "--threads", "1", "--chords", "none", "given", "--beats", "yes", "--json"]
    code, stdout, _ = run(judge, random_checkpoint, *flags)
    facts = json.loads(stdout.splitlines()[-1])
    assert code == 0 and {row["task"] for row in facts["rows"]} == set(TASKS)
    writers = [row["writer"] for row in facts["rows"] if row["task"] == "accompany"]
    low = ["silence", "another song", "melody's pitches", "nearest neighbour", "previous bar", "human"]
    assert writers[:6] == low and len(writers) == 6 + 1 + 1, "the same folder twice is one model"
    assert run(judge, random_checkpoint, *flags)[1].splitlines()[-1] == stdout.splitlines()[-1]


@pytest.mark.parametrize("script, flags", [(judge, ["--threads", 1]), (listen, ["-o", "page", "--force"])])
def test_where_nothing_is_held_out_there_is_no_table_and_no_page(run, tmp_path, monkeypatch, script, flags):
    """The page that was there stays."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(script, "Shards", lambda folder: SimpleNamespace(folder=folder, split=lambda name: []))
    Path("page").mkdir()
    Path("page", "index.html").write_text("of before")
    code, stdout, stderr = run(script, *flags)
    assert code == 2 and not stdout and "shards holds out no" in stderr
    assert Path("page", "index.html").read_text() == "of before"


def test_a_second_model_is_compared(run, random_model, tmp_path):
    from anticipation.model import checkpoint

    checkpoint.save(random_model(seed=1), tmp_path / "other")
    code, stdout, _ = run(judge, tmp_path / "other", "--songs", 2, "--tasks", "accompany", "--chords", "none",
                          "--beats", "no", "--threads", 1)  # fmt: skip
    assert code == 0 and f"{tmp_path / 'other'}: chords none, beats no less " in stdout


def test_a_model_that_cannot_is_left_out(toy, monkeypatch, capsys):
    def refuse(*_, **__):
        raise RequestError("no chords here")

    monkeypatch.setattr(judge, "generate", refuse)
    jury = judge.Judge(toy, most=1)
    assert judge.judge(None, jury, "amt", "parts", judge.Terms("no", "none")) is None
    assert "parts, amt: chords none, beats no: left out, no chords here" in capsys.readouterr().err and not jury.rows


def test_bad_input_is_one_line(run, tmp_path):
    code, stdout, stderr = run(judge, tmp_path / "nowhere")
    assert code == 2 and not stdout and stderr == f"judge: no checkpoint at {tmp_path / 'nowhere'}\n"
    for name in ("songs", "takes", "best-of", "threads"):
        assert run(judge, f"--{name}", 0) == (2, "", f"judge: --{name} is at least 1\n")
    assert run(judge, "--seed", -1) == (2, "", "judge: --seed is at least 0\n")
    assert run(listen, "-o", tmp_path / "page", "--count", 0)[::2] == (
        2,
        "listen: --count and --threads are at least 1, --seed 0\n",
    )
    code, _, stderr = run(judge, "--memory", tmp_path / "nowhere")
    assert code == 2 and stderr.startswith("judge: no index of the training set at") and stderr.count("\n") == 1


# ---- the page ------------------------------------------------------------------------------------------------------


def test_the_page_is_whole_and_the_same_again(run, tmp_path, monkeypatch):
    pytest.importorskip("lameenc")
    monkeypatch.setattr(listen, "ask", lambda model, case, terms: [case.human.transpose(1)])
    code, stdout, _ = run(listen, "-o", tmp_path / "page", "--count", 2, "--threads", 1)
    facts = json.loads(stdout)
    assert code == 0 and [e["task"] for e in facts["examples"]] == list(TASKS)[:2]
    assert len({e["piece"].split("/")[0] for e in facts["examples"]}) == 2, "across the sources"
    text = (tmp_path / "page" / "index.html").read_text(encoding="utf-8")
    files = {path.name: path.read_bytes() for path in (tmp_path / "page").iterdir()}
    assert len(files) == 2 * 2 * 2 + 1 and all(f'src="{name}"' in text for name in files if name != "index.html")
    assert "http" not in text and all(data[:1] == b"\xff" for name, data in files.items() if name.endswith("mp3"))
    code, _, stderr = run(listen, "-o", tmp_path / "page", "--count", 2)
    assert code == 2 and "--force" in stderr
    assert run(listen, "-o", tmp_path / "page", "--count", 2, "--threads", 1, "--force")[0] == 0
    assert {path.name: path.read_bytes() for path in (tmp_path / "page").iterdir()} == files
    assert [path.name for path in tmp_path.iterdir()] == ["page"]


def test_a_page_is_written_whole_or_not_at_all(toy, random_model, tmp_path, monkeypatch):
    def full(*_):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(listen, "mp3", full)
    (tmp_path / "page").mkdir()
    (tmp_path / "page" / "index.html").write_text("the old one")
    with pytest.raises(FileError, match="No space left"):
        listen.page(random_model(), toy, tmp_path / "page", seed=0, count=1)
    assert (tmp_path / "page" / "index.html").read_text() == "the old one"
    assert [path.name for path in tmp_path.iterdir()] == ["page"]


def test_a_hole_is_heard_with_what_is_around_it(toy):
    case = next(case for case in cases(toy, "hole", 1) if case.start > 10)
    shown, written = listen.audience(case, case.human)
    assert shown.start == listen.AROUND and shown.end == listen.AROUND + HOLE and written == shown.human
    assert len(shown.known) and shown.known.onset.max() < shown.end + listen.AROUND and (written.velocity > 0).all()
