"""Fixtures that several test files share: real MIDI files, and how long hypothesis may look for trouble."""

import faulthandler
import multiprocessing
import os
import random
import sys
import tarfile
import zlib
from functools import cache
from pathlib import Path

import pytest
from hypothesis import HealthCheck, settings

ROOT = Path(__file__).parents[1]
CORPUS = ROOT.parent / "shared/data/corpus.tar.xz"
sys.path.insert(0, str(ROOT / "train"))  # the scripts import each other as neighbours, and so do their tests
ONE_IN = 89  # of the corpus' 17,809 files: 195

settings.register_profile("house", deadline=None, max_examples=60, suppress_health_check=[HealthCheck.too_slow])
settings.load_profile("house")


@pytest.hookimpl(trylast=True)
def pytest_unconfigure() -> None:
    """At its exit Python waits for children and threads for ever, and CI with it. A child that a test has left is named
    and ended; what else is waited for tells where, after a minute, and is over too."""
    for child in multiprocessing.active_children():
        print(f"left by a test: {child!r}", file=sys.__stderr__, flush=True)
        child.kill()
    faulthandler.dump_traceback_later(60, exit=True, file=sys.__stderr__)


@pytest.fixture(scope="session", autouse=True)
def config_folder(tmp_path_factory) -> Path:
    """No test reads or writes the settings of whoever runs it."""
    folder = tmp_path_factory.mktemp("config")
    os.environ["ANTICIPATION_CONFIG"] = str(folder)
    return folder


@pytest.fixture(autouse=True)
def same_seeds() -> None:
    """Who gives no seed gets others from draw to draw, but the same ones in every run: no test is left to chance."""
    random.seed(1)
    if torch := sys.modules.get("torch"):
        torch.manual_seed(1)


@pytest.fixture(scope="session")
def corpus_files(tmp_path_factory) -> list[Path]:
    """About 200 real files of all sources, always the same; in a checkout without the corpus, our examples."""
    if CORPUS.exists():
        folder = tmp_path_factory.mktemp("corpus")
        with tarfile.open(CORPUS, "r|xz") as archive:
            for member in archive:
                if member.name.endswith(".mid") and zlib.crc32(member.name.encode()) % ONE_IN == 0:
                    name = "-".join(Path(member.name).parts[1:])[-200:]
                    (folder / name).write_bytes(archive.extractfile(member).read())
        return sorted(folder.glob("*.mid"))
    files = sorted((ROOT / "examples").rglob("*.mid"))
    return files or pytest.skip("no corpus and no examples here")


@pytest.fixture(scope="session")
def random_model():
    """random_model(window=512, seed=0, rests=0.0): one block with random weights, that rests more or less often. A
    fuzzer: what holds for it, holds."""
    import torch

    from anticipation.model.event import Config, EventModel

    torch.set_num_threads(1)
    told = ("soon", "line", "interval")  # count several times as much

    @cache
    def make(window: int = 512, seed: int = 0, rests: float = 0.0) -> EventModel:
        with torch.random.fork_rng(devices=[]), torch.no_grad():
            torch.manual_seed(seed)
            model = EventModel(Config(depth=1, window=window))
            for name, weights in model.named_parameters():
                weights.add_(torch.randn(weights.shape), alpha=0.003 if name.startswith(told) else 0.1)
            model.logits[0].bias[-1] += rests
        return model.eval().requires_grad_(False)

    return make


@pytest.fixture(scope="session")
def random_amt():
    """random_amt(seed=0, rests=0.0, **config): two layers of AMT with weights large enough that every term shows."""
    import torch

    from anticipation.model import amt, gpt2

    torch.set_num_threads(1)

    @cache
    def make(seed: int = 0, rests: float = 0.0, **config) -> gpt2.GPT2:
        with torch.random.fork_rng(devices=[]), torch.no_grad():
            torch.manual_seed(seed)
            model = gpt2.GPT2(gpt2.Config(**({"layers": 2, "width": 32, "heads": 4} | config)))
            for weights in model.parameters():
                weights.add_(torch.randn(weights.shape), alpha=0.2)
            model.wte.weight[amt.DURATION.start] += rests * model.ln_f.bias  # to which its last bias is added
        return model.eval().requires_grad_(False)

    return make


@pytest.fixture(scope="session")
def random_checkpoint(random_model, tmp_path_factory) -> Path:
    """The folder of a checkpoint of random weights."""
    from anticipation.model import checkpoint

    folder = tmp_path_factory.mktemp("checkpoint")
    checkpoint.save(random_model(), folder, card={"name": "random"})
    return folder


@pytest.fixture
def melody(tmp_path) -> Path:
    """The file of a flute melody: eight bars of 4/4 at 120 bpm, 16 s."""
    from anticipation.music.notes import Notes
    from anticipation.score.midi import Score, write

    pitches = (72, 76, 79, 77, 74, 81, 79, 72)
    write(
        Score.from_notes(Notes.of((0.5 * i, 0.45, pitches[i % 8], 73, 80) for i in range(32))), tmp_path / "melody.mid"
    )
    return tmp_path / "melody.mid"


@pytest.fixture
def anticipate(random_checkpoint, capsys):
    """anticipate(*argv) -> (exit code, stdout, stderr): the command in this process, tasks with random weights and two
    drafts: enough for one to be chosen."""
    from anticipation import cli

    def run(*argv, model: Path | None = random_checkpoint) -> tuple[int, str, str]:
        line = [str(arg) for arg in argv]
        if model and line[0] in ("accompany", "infill", "continue", "vary", "harmonize", "demo"):
            line[1:1] = ["--model", str(model), "--threads", "1"]
        if line[0] in ("accompany", "infill", "continue", "vary"):
            line[1:1] = ["--best-of", "2"]
        code = cli.main(line)
        return code, *capsys.readouterr()

    return run


@pytest.fixture(scope="session")
def music_folder(tmp_path_factory) -> Path:
    """A folder to train on: two sources of four-part pieces with chords one can hear, a duplicate, and bad files."""
    import numpy as np

    from anticipation.music.notes import DRUMS, Notes
    from anticipation.score.midi import Score, write

    folder, rng = tmp_path_factory.mktemp("music"), np.random.default_rng(0)
    for source, count in (("band", 3), ("pop909", 12)):
        (folder / source).mkdir()
        for piece in range(count):
            rows = []
            for beat, root in enumerate(rng.choice([48, 53, 55, 57], 16).repeat(4)):
                rows.append((0.5 * beat, 0.4, int(root) + 24 + int(rng.choice([0, 4, 7])), 73, 60 + beat % 50))
                rows += [(0.5 * beat, 0.5, int(root) + step, 0, 50 + beat % 40) for step in (0, 4, 7)]
                rows += [(0.5 * beat, 0.1, 36 + beat % 2 * 2, DRUMS, 90)] if source == "band" else []
            write(Score.from_notes(Notes.of(rows)), folder / source / f"{piece:03d}__{piece:03d}.mid")
    (folder / "pop909" / "zzz.mid").write_bytes((folder / "pop909" / "001__001.mid").read_bytes())
    (folder / "band" / "short.mid").write_bytes(Score.from_notes(Notes.of([(0, 1, 60, 0, 64)])).data)
    (folder / "band" / "broken.mid").write_bytes((folder / "band" / "000__000.mid").read_bytes()[:-40])
    (folder / "band" / "text.MID").write_text("no music")
    (folder / "band" / "ATTRIBUTION.txt").write_text("CC0: made by a test")
    (folder / "notes.txt").write_text("not looked at")
    return folder


@pytest.fixture(scope="session")
def shards(music_folder, tmp_path_factory):
    """Shards of the music folder, to read."""
    pytest.importorskip("symusic")
    import prepare

    from anticipation.data.shards import Shards

    prepare.prepare([music_folder], out := tmp_path_factory.mktemp("shards"))
    return Shards(out)


@pytest.fixture(scope="module")
def served(random_checkpoint, tmp_path_factory):
    """(a stand-in for the app, the real server around it)."""
    from stand_in import StandIn

    from plugin_bridge.server import Server

    app = StandIn()
    server = Server(app, checkpoint=random_checkpoint, link=tmp_path_factory.mktemp("config") / "sub" / "live.curl")
    yield app, server
    server.close()


@pytest.fixture
def ask(served):
    """ask(method, path, body, **headers) -> (status, headers, JSON or bytes), with the token unless told otherwise."""

    import http.client
    import json

    def run(method: str, path: str, body=None, **headers):
        connection = http.client.HTTPConnection("127.0.0.1", served[1].port, timeout=60)
        data = json.dumps(body) if isinstance(body, dict) else body
        sent = {"Authorization": f"Bearer {served[1].token}"} | {k.replace("_", "-"): v for k, v in headers.items()}
        connection.request(method, path, data, {name: text for name, text in sent.items() if text is not None})
        answer = connection.getresponse()
        content = answer.read()
        connection.close()
        kind = answer.headers.get_content_type()
        return answer.status, answer.headers, json.loads(content) if kind == "application/json" else content

    return run


@pytest.fixture
def rehearsal(monkeypatch, tmp_path):
    """rehearsal(plan=..., **settings) -> a Rehearsal that plays."""
    from virtual import Rehearsal

    made = []

    def make(**settings):
        made.append(Rehearsal(monkeypatch, tmp_path / "takes", **settings))
        if settings.get("sync") != "clock":
            made[-1].app.act("start")
        made[-1].run(0.1)
        return made[-1]

    yield make
    for rehearsal in made:
        rehearsal.app.close()
