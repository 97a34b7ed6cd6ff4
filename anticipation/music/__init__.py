"""Notes and what musicians know of them: time, beats, harmony, instruments. Numbers only; no files, no weights."""
