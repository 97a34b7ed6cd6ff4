"""Files that are written wholly or not at all, also where the power fails."""

import os

import pytest

from anticipation.errors import FileError
from anticipation.files import replacing


@pytest.mark.skipif(os.name == "nt", reason="Windows has no folders that could be brought to the disk")
def test_a_file_is_on_the_disk_before_it_takes_anothers_place_and_its_name_after(tmp_path, monkeypatch):
    """Seen with ext4: eight seconds after a new file had been renamed into place a power cut left it empty."""
    done = []
    fsync, replace = os.fsync, os.replace
    monkeypatch.setattr(os, "fsync", lambda number: (done.append(os.fstat(number).st_ino), fsync(number)))
    monkeypatch.setattr(os, "replace", lambda a, b: (done.append("renamed"), replace(a, b)))
    with replacing(tmp_path / "new.mid") as draft:
        draft.write_bytes(b"all of it")
    new, folder = (tmp_path / "new.mid").stat().st_ino, tmp_path.stat().st_ino
    renamed = done.index("renamed")
    assert new in done[:renamed] and folder in done[renamed:]


@pytest.mark.parametrize("verb", ["fsync", "replace"])
def test_a_disk_that_cannot_keep_a_file_is_an_error_and_the_one_before_stays(tmp_path, monkeypatch, verb):
    def broken(*_):
        raise OSError(5, "Input/output error")

    (tmp_path / "song.mid").write_bytes(b"before")
    monkeypatch.setattr(os, verb, broken)
    with pytest.raises(FileError, match="Input/output error"), replacing(tmp_path / "song.mid") as draft:
        draft.write_bytes(b"after")
    assert [path.read_bytes() for path in tmp_path.iterdir()] == [b"before"]
