"""Batch: rows of several streams as the columns that `EventModel.losses` takes. Knows no weights."""

from __future__ import annotations

import numpy as np

from . import around
from . import stream as s
from .features import FIELD_NAMES, GIVEN, row_features, target_chart, targets


def collate(several: list[np.ndarray], length: int) -> dict[str, np.ndarray]:
    """Rows of several streams, padded to one length, as (streams, length, ...) columns: features, clock, at, chart,
    soon, line, targets (int32) and heard (float32)."""
    rows = np.zeros((len(several), length, len(s.COLUMNS)), dtype=np.int64)
    drawn = np.full((len(several), length, len(FIELD_NAMES)), GIVEN, dtype=np.int64)
    heard = np.zeros((len(several), length, around.HEARD_SIZE), dtype=np.float32)
    soon = np.zeros((len(several), length, 2 * around.AHEAD), dtype=np.int64)
    line = np.zeros((len(several), length, 2 * around.BESIDE + 2), dtype=np.int64)
    for i, one in enumerate(several):
        there = i, slice(len(one))
        rows[there], drawn[there] = one, targets(one)
        rows[i, len(one) :, s.CLOCK] = rows[i, len(one) :, s.AT] = one[-1, s.CLOCK]
        heard[there], soon[there], line[there] = around.told(one)
    batch = {
        "features": row_features(rows), "clock": rows[..., s.CLOCK], "at": rows[..., s.AT], "chart": target_chart(rows),
        "soon": soon, "line": line, "targets": drawn,
    }  # fmt: skip
    return {name: column.astype(np.int32) for name, column in batch.items()} | {"heard": heard}
