"""Fixtures that several test files share: real MIDI files, and how long hypothesis may look for trouble."""

import tarfile
import zlib
from functools import cache
from pathlib import Path

import pytest
from hypothesis import HealthCheck, settings

ROOT = Path(__file__).parents[1]
CORPUS = ROOT.parent / "shared/data/corpus.tar.xz"
ONE_IN = 89  # of the corpus' 17,809 files: 195

settings.register_profile("house", deadline=None, max_examples=60, suppress_health_check=[HealthCheck.too_slow])
settings.load_profile("house")


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
    """random_model(window=512, seed=0): one block with random weights. A fuzzer: what holds for it, holds."""
    import torch

    from anticipation.model import Config, EventModel

    torch.set_num_threads(1)

    @cache
    def make(window: int = 512, seed: int = 0) -> EventModel:
        with torch.random.fork_rng(), torch.no_grad():
            torch.manual_seed(seed)
            model = EventModel(Config(depth=1, window=window))
            for weights in model.parameters():
                weights.add_(torch.randn(weights.shape), alpha=0.1)
        return model.eval().requires_grad_(False)

    return make


@pytest.fixture(scope="session")
def random_checkpoint(random_model, tmp_path_factory) -> Path:
    """The folder of a checkpoint of random weights."""
    from anticipation import checkpoint

    folder = tmp_path_factory.mktemp("checkpoint")
    checkpoint.save(random_model(), folder, card={"name": "random"})
    return folder
