"""The directions of the house: who may import whom, and what is loaded when."""

import ast
import subprocess
import sys
from pathlib import Path

import pytest

HOME = Path(__file__).parents[1]
ROOT = HOME / "anticipation"
LIBRARY = sorted(ROOT.rglob("*.py"))
MODULES = {".".join(path.relative_to(ROOT).with_suffix("").parts): ast.parse(path.read_text(encoding="utf-8"))
           for path in LIBRARY}  # fmt: skip
PACKAGES = ["music", "score", "model", "infilling", "live", "data"]  # each imports only from those before it
ANYONES = ["errors", "files"]
LIGHT = """errors music.notes music.tempo music.harmony music.symbols music.voicing score.smf score.tracks score.parts
           score.midi score.render score.sound score.timbres model.stream model.grammar model.bias model.features
           infilling.prompt infilling.conductor infilling.brief infilling.tasks data.shards data.windows""".split()
TICKS = ["music.tempo", *(f"score.{name}" for name in ("smf", "tracks", "midi", "parts", "written"))]  # who know them


def imports(name: str, late: bool = True) -> set[str]:
    """What a module imports, our own modules as they are named in MODULES; `late`: also within functions."""
    found = set()
    for node in ast.walk(MODULES[name]) if late else ast.iter_child_nodes(MODULES[name]):
        if isinstance(node, ast.Import):
            found |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom):
            base = name.split(".")[: -node.level] if node.level else []
            whole = ".".join([*base, *([node.module] if node.module else [])])
            several = {f"{whole}.{alias.name}".lstrip(".") for alias in node.names}
            found |= several & set(MODULES) if node.level and several & set(MODULES) else {whole}
    return found


def ours(name: str, late: bool = True) -> set[str]:
    """The modules of the library that a module imports."""
    return imports(name, late) & set(MODULES)


def loaded(code: str) -> set[str]:
    """What a fresh Python has imported after running some code."""
    code += "\nimport sys; print(*sys.modules)"
    result = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, cwd=HOME, timeout=60, check=True
    )
    return set(result.stdout.splitlines()[-1].split())


@pytest.mark.parametrize("name", MODULES)
def test_the_library_imports_neither_trainer_nor_bridge(name):
    """One late import in the command excepted."""
    roots = {module.split(".")[0] for module in imports(name, late=name != "commands")}
    assert not roots & {"train", "plugin_bridge", "tests"}


@pytest.mark.parametrize("name", LIGHT)
def test_music_needs_no_torch(name):
    """Not even by what it imports from its neighbours when it is imported."""
    seen, todo = set(), [name]
    while todo:
        seen.add(module := todo.pop())
        found = imports(module, late=False)
        assert not any(other.split(".")[0] in ("torch", "safetensors") for other in found), module
        todo += ours(module, late=False) - seen


@pytest.mark.parametrize("name", [name for name in MODULES if "." in name])
def test_packages_import_only_from_those_before_them(name):
    before = PACKAGES[: PACKAGES.index(name.split(".")[0]) + 1]
    assert not {other for other in ours(name) if other.split(".")[0] not in before + ANYONES}


def test_nobody_imports_in_a_circle():
    above = {name: ours(name, late=False) for name in MODULES}
    while leaves := [name for name, others in above.items() if not others]:
        above = {name: others - set(leaves) for name, others in above.items() if name not in leaves}
    assert not above


def test_help_answers_without_loading_anything_heavy():
    modules = loaded("import anticipation.cli as c\ntry: c.main(['--help'])\nexcept SystemExit: pass")
    assert not modules & {"torch", "numpy", "mido", "pretty_midi", "miditoolkit", "PIL", "tqdm", "safetensors"}


def test_reading_a_file_loads_no_torch():
    modules = loaded("from anticipation import read, write, Score, Notes; import anticipation.infilling.tasks")
    assert not modules & {"torch", "miditoolkit"}


def test_weights_are_read_and_played_without_torchs_compiler(tmp_path):
    """Every command and every live start would wait for it as long as for the rest of torch. Of both families, and as
    Hugging Face has them."""
    code = f"""
from anticipation.infilling import drafting, request
from anticipation.model import checkpoint, gpt2
from anticipation.music import notes
amt = gpt2.GPT2(gpt2.Config(1, 32, 2))
for name, how in (("ours", False), ("theirs", True)):
    checkpoint.save(amt, {str(tmp_path)!r} + "/" + name, hugging_face=how)
for name in (None, {str(tmp_path / "ours")!r}, {str(tmp_path / "theirs")!r}):
    drafting.generate(checkpoint.load(name), request.Infill(notes.Notes.of([]), 0.0, 1.0, (0,)))
"""
    modules = loaded(code)
    assert "torch" in modules and "torch._dynamo" not in modules


@pytest.mark.parametrize("name", [name for name in MODULES if name not in TICKS])
def test_only_the_file_formats_know_ticks(name):
    """Ticks per quarter note, conversion to ticks, and the bytes of MIDI messages. Only `sound` speaks MIDI too."""
    names = {node.attr for node in ast.walk(MODULES[name]) if isinstance(node, ast.Attribute)}
    names |= {node.id for node in ast.walk(MODULES[name]) if isinstance(node, ast.Name)}
    assert not names & {"ppqn", "ticks", "beat_ticks", "NOTE_ON", "NOTE_OFF"}
    assert name == "score.sound" or not imports(name) & {"score.smf", "score.tracks", "mido"}


@pytest.mark.parametrize("path", [*LIBRARY, *sorted((HOME / "train").glob("*.py"))], ids=lambda path: path.stem)
def test_every_file_says_what_it_is(path):
    assert ast.get_docstring(ast.parse(path.read_text(encoding="utf-8")))
