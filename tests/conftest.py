"""Fixtures that several test files share: real MIDI files, and how long hypothesis may look for trouble."""

import tarfile
import zlib
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
