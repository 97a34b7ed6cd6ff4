"""The README does what it says: its Python runs, its command lines run, its file tree is the tree."""

import re
import shlex
import shutil
from functools import partial
from pathlib import Path

import pytest

from anticipation import cli, commands
from anticipation.infilling.options import Options
from anticipation.model import checkpoint

HOME = Path(__file__).parent.parent
README = (HOME / "README.md").read_text(encoding="utf-8")


def blocks(language: str) -> list[str]:
    fenced = re.findall(r"^```(\w*)\n(.*?)^```$", README, re.DOTALL | re.MULTILINE)
    return [text for kind, text in fenced if kind == language]


@pytest.fixture
def desk(tmp_path, monkeypatch):
    """A folder with the files that the README speaks of, as the working directory."""
    shutil.copytree(HOME / "examples", tmp_path / "examples")
    shutil.copy(HOME / "examples" / "auld-lang-syne.mid", tmp_path / "melody.mid")
    monkeypatch.chdir(tmp_path)
    return tmp_path


def test_python_example(desk, capsys):
    (code,) = blocks("python")
    exec(compile(code, "README.md", "exec"), {})
    assert len(list(desk.glob("greensleeves-?.mid"))) == 2
    assert "notes, the first at" in capsys.readouterr().out


def test_command_lines(desk, random_checkpoint, monkeypatch):
    """With random weights and two drafts; the two above and below write with what ships."""
    monkeypatch.setattr(checkpoint, "default_checkpoint", lambda: random_checkpoint)
    lines = [line for block in blocks("sh") for line in block.splitlines() if line.startswith("anticipate ")]
    assert len(lines) >= 2
    for line in lines:
        if " live " in line:
            continue  # plays until it is stopped: test_live.py
        assert cli.main([*shlex.split(line)[1:], "--best-of", "2"]) == 0, line
    assert {path.name for path in desk.glob("*.mid")} >= {"song-1.mid", "song-2.mid", "song-3.mid", "new.mid"}


def test_demo(desk, monkeypatch):
    """With two drafts in place of eight."""
    monkeypatch.setattr(commands, "Options", partial(Options, best_of=2))
    assert cli.main(["demo", "-q"]) == 0
    made = sorted(path.suffix for path in (desk / "anticipate-demo").iterdir())
    assert made == [".mid"] * 3 + [".png"] * 3 + [".wav"] * 3
    assert all(path.stat().st_size > 500 for path in (desk / "anticipate-demo").iterdir())


def test_file_tree():
    (tree,) = [block for block in blocks("") if block.startswith("anticipation/")]
    named = re.findall(r"(\w+\.py)", tree)
    there = [
        path.name for name in ("anticipation", "train", "plugin_bridge") for path in (HOME / name).rglob("[!_]*.py")
    ]
    assert sorted(named) == sorted(there)
