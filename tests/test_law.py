"""Laws of the law: it finds the lines that runs were made from."""

import json
import sys

import law
import numpy as np
import pytest

from anticipation.errors import AnticipationError


def run(flops: float, parameters: float, loss: float) -> dict:
    return {"preset": f"p{parameters:.0f}", "flops": flops, "parameters": parameters,
            "held_out": {"nats_per_event": loss}}  # fmt: skip


def made() -> list[dict]:
    """Best size 2 * C ** 0.5, its loss 40 * C ** -0.1, worse by the square of the logarithm beside it."""
    return [
        run(flops, size, 40 * flops**-0.1 + 0.3 * np.log(size / (2 * flops**0.5)) ** 2)
        for flops in (1e12, 4e12, 1.6e13)
        for size in np.array([0.3, 1.0, 2.0, 4.0]) * 2 * flops**0.5
    ]


def test_the_lines_that_runs_were_made_from_are_found():
    found = law.law(made())
    assert found["size"] == pytest.approx((2.0, 0.5), rel=1e-6)
    assert found["loss"] == pytest.approx((40.0, -0.1), rel=1e-6)


def test_where_the_best_size_is_not_between_the_sizes_it_is_one_of_them():
    sizes = np.array([1.0, 2.0, 4.0])
    assert law.optimum(sizes, np.array([3.0, 2.0, 1.5])) == (4.0, 1.5, False)
    assert law.optimum(sizes, np.array([1.0, 2.0, 3.5])) == (1.0, 1.0, False)
    assert law.optimum(sizes[:2], np.array([1.0, 2.0])) == (1.0, 1.0, False)


def test_the_script_reads_a_log(tmp_path, monkeypatch, capsys):
    log = tmp_path / "log"
    log.write_text("\n".join(["0 1 s loss 18.1", '{"preset": "eval"}', *map(json.dumps, made())]))
    monkeypatch.setattr(sys, "argv", ["law.py", str(log), "--at", "1"])
    law.main()
    out = capsys.readouterr().out
    assert "| 4.0e+12 |" in out and "best size: 2 * FLOP ** 0.500 parameters; 6.325e+07 at 1 PFLOP" in out
    log.write_text(
        "\n".join(json.dumps(run | {"parameters": 1e20 / run["parameters"] ** 2}) for run in made()[::4] + made()[1::4])
    )
    law.main()
    assert "(edge)" in (out := capsys.readouterr().out) and "no line" in out and "best loss" in out
    log.write_text(json.dumps(made()[0]))
    for path, why in ((log, "two budgets"), (tmp_path / "gone", "gone: No such file")):
        monkeypatch.setattr(sys, "argv", ["law.py", str(path)])
        with pytest.raises(AnticipationError, match=why):
            law.main()
