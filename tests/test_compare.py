"""Laws of the comparison: equal work for both families, by the trainer's own code, and a table with the spread."""

import sys
from dataclasses import replace
from itertools import product

import compare
import law
import pytest
import recipes
import torch

from anticipation.errors import AnticipationError
from anticipation.model import checkpoint, gpt2
from anticipation.model.event import Config

pytest.importorskip("symusic")


@pytest.fixture
def call(shards, tmp_path, monkeypatch, capsys):
    """call(*flags): the script on one block each; its JSON lines and its table."""
    for name, config in (("tiny", Config(1)), ("amt-tiny", gpt2.Config(1, 32, 2))):
        monkeypatch.setitem(recipes.PRESETS, name, replace(recipes.PRESETS[name], config=config))
    precision, threads = torch.get_float32_matmul_precision(), torch.get_num_threads()

    def run(*flags: str) -> tuple[list[dict], list[str]]:
        line = ["compare.py", str(shards.folder), "--out", str(tmp_path / "out"), *"--batch 1 --device cpu".split()]
        monkeypatch.setattr(sys, "argv", [*line, "--excerpts", "1", "--mix", "all", "--amt-head", "sliced", *flags])
        compare.main()
        lines = capsys.readouterr().out.splitlines()
        return law.read(lines), [line for line in lines if line.startswith("|")]

    yield run
    torch.set_float32_matmul_precision(precision)
    torch.set_num_threads(threads)


def test_both_families_get_the_same_operations_and_answer_for_the_same_notes(call, tmp_path):
    runs, table = call("--petaflops", "2e-5", "--seeds", "0", "1")
    assert [(one["seed"], one["preset"]) for one in runs] == list(product((0, 1), ("tiny", "amt-tiny")))
    for one in runs:
        assert one["steps"] >= 1 and one["flops"] == pytest.approx(2e10, rel=0.5 / one["steps"] + 0.01)
        assert checkpoint.load(tmp_path / "out" / f"{one['preset']}-{one['seed']}-2e-05" / "checkpoint")
    ours, theirs = (one["held_out"] for one in runs[:2])
    assert ours["notes"] == theirs["notes"] > 0 and set(theirs["by_request"]) < set(ours["by_request"])
    assert table[0] == "| nats per event | tiny | amt-tiny |" and " ± " in table[2] and "dev none" in table[2]


def test_several_budgets_are_as_many_runs(call):
    runs, _ = call("--petaflops", "1e-5", "3e-5", "--presets", "tiny")
    assert [round(one["flops"] / 1e10) for one in runs] == [1, 3]


def test_a_comparison_that_was_made_is_not_overwritten(call):
    call("--petaflops", "1e-9", "--presets", "tiny")
    with pytest.raises(AnticipationError, match="holds a run"):
        call("--petaflops", "1e-9", "--presets", "tiny")


def test_the_spread_is_told_where_there_is_one():
    assert compare.spread([]) == "" and compare.spread([1.0]) == "1.00" and compare.spread([1.0, 3.0]) == "2.00 ± 1.41"
