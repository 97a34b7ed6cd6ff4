"""What is in a folder of shards: python train/stats.py SHARDS [-o PAGE.html]: a table, and a page of plots."""

from __future__ import annotations

import argparse
import html
from collections.abc import Sequence
from pathlib import Path

import _script
import numpy as np

from anticipation.data.census import TEMPO_BIN, Census, census, licence_of
from anticipation.data.shards import Shards
from anticipation.files import replacing
from anticipation.music.notes import instrument_name

WIDTH, HEIGHT, LEFT, BOTTOM, TOP = 460, 220, 18, 34, 34
BAR, INK, FAINT = "#0072B2", "#1F2937", "#6B7280"
STYLE = f"""body {{ font: 14px system-ui, sans-serif; color: {INK}; margin: 2em auto; max-width: 1460px }}
table {{ border-collapse: collapse; margin: 1em 0 }} th, td {{ padding: 3px 9px; text-align: right }}
th {{ border-bottom: 1px solid {FAINT}; font-weight: 600 }} tr:nth-child(even) td {{ background: #F3F4F6 }}
th:first-child, td:first-child, th:last-child, td:last-child {{ text-align: left }}
tr.sum td {{ border-top: 1px solid {FAINT}; font-weight: 600 }} .plots {{ display: flex; flex-wrap: wrap; gap: 16px }}
svg {{ background: #FFF; border: 1px solid #E5E7EB }} p {{ color: {FAINT} }}"""


def text(x: float, y: float, words: str, anchor: str = "start", size: int = 11, colour: str = FAINT) -> str:
    return (
        f'<text x="{x:.1f}" y="{y:.1f}" text-anchor="{anchor}" font-size="{size}" fill="{colour}" '
        f'font-family="system-ui, sans-serif">{html.escape(words)}</text>'
    )


def frame(title: str, height: int, inside: list[str]) -> str:
    head = text(LEFT, 20, title, size=13, colour=INK)
    size = f'width="{WIDTH}" height="{height}" viewBox="0 0 {WIDTH} {height}"'
    return f'<svg xmlns="http://www.w3.org/2000/svg" {size}>{head}{"".join(inside)}</svg>'


def columns(title: str, counts: np.ndarray, names: dict[int, str]) -> str:
    """A histogram as upright bars; names: what is written under which bin."""
    step, top = (WIDTH - 2 * LEFT) / len(counts), max(int(counts.max()), 1)
    floor = HEIGHT - BOTTOM
    marks = [f'<line x1="{LEFT}" x2="{WIDTH - LEFT}" y1="{floor}" y2="{floor}" stroke="{FAINT}"/>']
    for i, count in enumerate(counts.tolist()):
        tall = (floor - TOP - 8) * count / top
        box = f'x="{LEFT + i * step:.2f}" y="{floor - tall:.2f}" width="{max(step - 0.5, 0.8):.2f}" height="{tall:.2f}"'
        marks.append(f'<rect {box} fill="{BAR}"><title>{names.get(i, i)}: {count}</title></rect>' if count else "")
    marks += [text(LEFT + (i + 0.5) * step, floor + 15, name, "middle") for i, name in names.items()]
    return frame(f"{title} (highest bar: {top:,})", HEIGHT, marks)


def rows(title: str, values: Sequence[tuple[str, float]], unit: str = "") -> str:
    """Named bars, one below the other."""
    height, most = TOP + 17 * len(values) + 8, max([value for _, value in values], default=0) or 1
    marks = []
    for i, (name, value) in enumerate(values):
        y = TOP + 17 * i
        marks.append(f'<rect x="150" y="{y}" width="{(WIDTH - 230) * value / most:.1f}" height="13" fill="{BAR}"/>')
        marks += [text(144, y + 11, name, "end", colour=INK), text(WIDTH - 8, y + 11, f"{value:,.1f}{unit}", "end")]
    return frame(title, height, marks)


def plots(sources: dict[str, Census], total: Census) -> list[str]:
    found = total.histograms
    ticks = {"polyphony": [*range(0, 32, 4), 32], "parts": [*range(1, 16, 2), 16], "pitch": [*range(0, 128, 12)],
             "velocity": [*range(16, 128, 16)]}  # fmt: skip
    names = {name: {i: str(i) for i in bins} for name, bins in ticks.items()}
    names["polyphony"][32], names["parts"][16] = "32+", "16+"
    names["pitch"] = {i: f"C{i // 12 - 1}" for i in ticks["pitch"]}
    names["velocity"][0] = "?"
    tempo = {i: str(i * TEMPO_BIN) for i in range(8, 60, 8)} | {0: "none"}
    loud = sorted(enumerate(found["instrument"].tolist()), key=lambda pair: -pair[1])[:22]
    return [
        rows("Hours by source", [(name, one.seconds / 3600) for name, one in sources.items()], " h"),
        rows("Notes by instrument, thousands", [(instrument_name(i), n / 1000) for i, n in loud if n]),
        columns("Instruments of a piece: pieces", found["parts"], names["parts"]),
        columns("Notes that sound at once: onsets", found["polyphony"], names["polyphony"]),
        columns("Tempo, beats per minute: pieces", found["tempo"], tempo),
        columns("Velocity: notes (?: unknown)", found["velocity"], names["velocity"]),
        columns("Pitch: notes, drums left out", found["pitch"], names["pitch"]),
    ]


def page(shards: Shards, sources: dict[str, Census], total: Census) -> str:
    """A page of HTML that needs nothing but itself."""
    head = ["source", *total.row(), "licence"]
    lines = ["<tr>" + "".join(f"<th>{name}</th>" for name in head) + "</tr>"]
    for name, one in [*sources.items(), ("all", total)]:
        licence = licence_of(shards.licences.get(name, "")) if name in sources else ""
        licence += " (synthetic)" if name in shards.synthetic else ""
        cells = [name, *(f"{value:,}" for value in one.row().values()), licence]
        kind = ' class="sum"' if name == "all" else ""
        lines.append(f"<tr{kind}>" + "".join(f"<td>{html.escape(cell)}</td>" for cell in cells) + "</tr>")
    outcome = ", ".join(f"{n:,} {what}" for what, n in shards.outcome.most_common() if n)
    note = "weight: takes of one piece counted as one. bpm, velocity: means of those that are known."
    return (
        f"<!doctype html><html lang=en><meta charset=utf-8><title>Shards</title><style>{STYLE}</style>"
        f"<h1>{html.escape(shards.folder.name)}</h1><p>{html.escape(outcome)}. {note}</p>"
        f"<table>{''.join(lines)}</table><div class=plots>{''.join(plots(sources, total))}</div></html>\n"
    )


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("shards", type=Path)
    parser.add_argument("-o", "--page", type=Path, help="write the plots to this .html")
    args = parser.parse_args()
    shards = Shards(args.shards)
    sources = census(shards)
    total = sum(sources.values(), Census())
    lines = (
        [name, *(f"{value:,}" for value in one.row().values())] for name, one in [*sources.items(), ("all", total)]
    )
    print(_script.markdown(["source", *total.row()], lines))
    if args.page:
        with replacing(args.page) as draft:
            draft.write_text(page(shards, sources, total), encoding="utf-8")


if __name__ == "__main__":
    _script.run(main)
