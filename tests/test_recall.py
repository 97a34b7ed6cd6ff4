"""Laws of what is counted in songs; the tables are tested with those who read them."""

from collections import Counter

import _script
import pytest
import recall

from anticipation.data.shards import join
from anticipation.data.shards import write as write_shards
from anticipation.music.notes import Notes


@pytest.mark.parametrize("what", ["--keys", "--beats", "--drums"])
def test_shards_without_songs_to_count_are_told_in_one_line(tmp_path, monkeypatch, capsys, what):
    write_shards(tmp_path / "part", [("folk", "1.mid", "", Notes.of([(0, 1, 60, 0, 64)]))], Counter(), {})
    join([tmp_path / "part"], tmp_path / "shards", lambda *piece: "train")
    monkeypatch.setattr("sys.argv", ["recall", str(tmp_path / "shards"), what])
    with pytest.raises(SystemExit, match="2"):
        _script.run(recall.main)
    out, err = capsys.readouterr()
    assert " has no training pieces of " in err and err.count("\n") == 1 and not out
