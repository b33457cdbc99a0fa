"""The page of all benchmarks: their tables and plots, and the main figures in the project's README.

The same figures give the same bytes: a plot holds no date and no random names.
"""

from __future__ import annotations

from itertools import groupby
from typing import TYPE_CHECKING, Any

import matplotlib as mpl
from attrs import frozen
from matplotlib.figure import Figure as Drawing
from matplotlib.ticker import FuncFormatter, LogLocator

from tools.figures import Benchmark, tables, told

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from pathlib import Path

    from tools.figures import Figure

__all__ = ["BEGIN", "END", "main_figures", "write_page"]

BEGIN = "<!-- main figures: written by tools/bench -->\n"
END = "<!-- end of the main figures -->\n"

_HEAD = """\
# Benchmarks

`tools/bench` makes this page, benchmarks.json beside it and the plots; `tools/bench change readers` measures those two anew and leaves
the others. Each benchmark is a program tools/bench_NAME.py. Values are the best of several runs, since other work on the machine only ever
adds to them; what stands in parentheses is the ratio to the named peer in the same run. The memory of a program that is smaller than the
benchmark's own 20 MB is told as that. Where other work kept the machine busy, seconds of the processor (CPU s) tell more than seconds.
"""
_COLUMNS = 3
_LESSER = ("CPU s", "MB")
"""Units without a plot where seconds have one."""
_STYLE: dict[Any, Any] = {"svg.hashsalt": "cstore", "svg.fonttype": "none", "font.size": 8, "font.sans-serif": ["DejaVu Sans"]}
"""Without the salt the names of parts would be random; letters stay letters."""


@frozen
class _Main:
    """A row of the main figures: one program at the largest size, and what is beside it."""

    benchmark: str
    group: str
    own: str
    label: str


_MAIN = (
    _Main("change", "tag, sharded store", "cstore tag", "`cstore tag`"),
    _Main("change", "add an image whose layers are there, sharded store", "cstore add", "`cstore add`, all layers there"),
    _Main("change", "remove, sharded store", "cstore remove", "`cstore remove`"),
    _Main("change", "list, sharded store", "cstore list", "`cstore list`"),
    _Main("readers", "podman image exists", "as cstore writes", "`podman image exists` in a store of cstore's"),
    _Main("readers", "podman run", "as cstore writes", "`podman run`"),
    _Main("views", "podman image exists", "a view of ten images", "`podman image exists` in a view of ten images"),
    _Main("views", "podman images -q", "a view of ten images", "`podman images -q` in it"),
    _Main("verify", "quick", "cstore verify", "`cstore verify`"),
    _Main("add", "files of 10 kB", "cstore add", "`cstore add`, a new image"),
    _Main("stream", "files of 10 kB", "second reading: stream", "its stream into CernVM-FS"),
    _Main("flat", "files of 10 kB", "flat tree streamed", "its flat tree, streamed likewise"),
    _Main("sync", "first round, CernVM-FS", "cstore sync", "`cstore sync`, a first round into CernVM-FS"),
    _Main("sync", "nothing new, CernVM-FS", "cstore sync", "`cstore sync`, nothing new"),
    _Main("sync", "a moved tag, CernVM-FS", "cstore sync", "`cstore sync`, one tag has moved"),
)


def write_page(gathered: Mapping[str, Mapping[str, Any]], directory: Path, *, readme: Path | None) -> None:
    """Write README.md and the plots into a directory.

    Args:
        gathered: what each benchmark told, by name; `machine` beside its own members.
        directory: where they go.
        readme: a file in which the main figures stand between two comments; None for none.
    """
    parts = [_HEAD]
    for name, value in gathered.items():
        benchmark = Benchmark.from_dict(dict(value))
        plot = _plot(benchmark, directory / f"{name}.svg")
        parts.append(f"## {name}\n\n{benchmark.about}\n\nOn {value['machine']}.\n")
        if plot:
            parts.append(f"![{name}]({name}.svg)\n")
        parts.append(f"{tables(benchmark)}\n")
    (directory / "README.md").write_text("\n".join(parts))
    if readme is not None:
        before, _, rest = readme.read_text().partition(BEGIN)
        readme.write_text(f"{before}{BEGIN}{main_figures(gathered)}{END}{rest.partition(END)[2]}")


def main_figures(gathered: Mapping[str, Mapping[str, Any]]) -> str:
    """Return the table of the main figures, each at the largest size that was measured."""
    lines = ["", "| | size | seconds | CPU seconds | MB | beside it, in the same run |", "|---|---:|---:|---:|---:|---|"]
    for row in _MAIN:
        if row.benchmark not in gathered:
            continue
        benchmark = Benchmark.from_dict(dict(gathered[row.benchmark]))
        group = [figure for figure in benchmark.figures if figure.group == row.group]
        size = max(figure.x for figure in group)
        at = {(figure.name, figure.unit): figure.value for figure in group if figure.x == size}
        others = [f"{name} {told(value)} s" for (name, unit), value in at.items() if unit == "s" and name != row.own and value is not None]
        own = " | ".join(told(at.get((row.own, unit))) for unit in ("s", "CPU s", "MB"))
        lines.append(f"| {row.label} | {told(size)} {benchmark.x} | {own} | {'; '.join(others)} |")
    return "\n".join(lines) + "\n\n"


def _plot(benchmark: Benchmark, path: Path) -> bool:
    """Draw the figures that were measured at several sizes, a panel for each group and unit; return whether there are such."""
    panels = _panels(benchmark)
    if not panels:
        return False
    columns = min(_COLUMNS, len(panels))
    rows = -(-len(panels) // columns)
    names = [*dict.fromkeys(figure.name for panel in panels for figure in panel)]
    with mpl.rc_context(_STYLE):
        drawing = Drawing(figsize=(4 * columns, 2.6 * rows + 0.25 * (len(names) // columns + 1)), layout="constrained", facecolor="white")
        lines = {}
        for number, panel in enumerate(panels):
            axes = drawing.add_subplot(rows, columns, number + 1)
            axes.set_title(panel[0].group, fontsize=8)
            axes.set_xlabel(benchmark.x)
            axes.set_ylabel(panel[0].unit)
            for name, figures in groupby(
                sorted(panel, key=lambda figure: (names.index(figure.name), figure.x)), lambda figure: figure.name
            ):
                points = [(figure.x, figure.value) for figure in figures if figure.value]
                (lines[name],) = axes.loglog(*zip(*points, strict=True), marker="s", markersize=2, color=f"C{names.index(name)}")
            sizes = sorted({figure.x for figure in panel})
            axes.set_xticks(sizes, [told(size) for size in sizes])
            values = [figure.value for figure in panel if figure.value]
            axes.yaxis.set_major_locator(LogLocator(subs=(1,) if max(values) > 30 * min(values) else (1, 2, 5)))
            axes.yaxis.set_major_formatter(FuncFormatter(lambda value, _place: told(value)))
            axes.minorticks_off()
            axes.tick_params(bottom=False, left=False)
            axes.grid(linewidth=0.3)
        drawing.legend([lines[name] for name in names], names, loc="outside lower center", ncols=columns, frameon=False)
        drawing.savefig(path, format="svg", metadata={"Date": None, "Creator": None})
    return True


def _panels(benchmark: Benchmark) -> list[list[Figure]]:
    """Return the figures of each group and unit that are worth a panel: that change with the size, and of several names if any are."""
    panels = []
    for group in dict.fromkeys(figure.group for figure in benchmark.figures):
        by_unit: dict[str, list[Figure]] = {}
        for figure in benchmark.figures:
            if figure.group == group and figure.value:
                by_unit.setdefault(figure.unit, []).append(figure)
        several = {unit: figures for unit, figures in by_unit.items() if _changes(figures)}
        if "s" in several:
            several = {unit: figures for unit, figures in several.items() if unit not in _LESSER}
        most = max((len({figure.name for figure in figures}) for figures in several.values()), default=0)
        panels += [figures for figures in several.values() if most == 1 or len({figure.name for figure in figures}) > 1]
    return panels


def _changes(figures: Sequence[Figure]) -> bool:
    """Whether any value is another one at another size."""
    return len({figure.name for figure in figures}) < len({(figure.name, figure.value) for figure in figures})
