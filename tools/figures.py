"""The one shape in which all benchmarks tell what they measured: figures, their tables in Markdown, and their JSON.

A benchmark makes a `Figure` of each value, and hands them all to `report` as a `Benchmark`:

    figures = [
        Figure(group="cstore tag", name="cstore", unit="s", x=10_000, value=0.31, peer="cp of both indexes"),
        Figure(group="cstore tag", name="cp of both indexes", unit="s", x=10_000, value=0.08),
        Figure(group="cstore tag", name="podman tag", unit="s", x=10_000, value=4.1, peer="cstore"),
    ]
    report(Benchmark(name="change", about="…", x="images", figures=compared(figures)), json=asked.json)

Figures of one group and unit stand in one table and one plot, a row or line for each name, a column or point for each x. `peer` is
the name of another figure of the same group, unit and x; `compared` works out `ratio`, this value by that one. `value` is None where a
program did not end within its limit. With `--json FILE` a benchmark writes

    {"name": …, "about": …, "x": …, "figures": [{"group": …, "name": …, "unit": …, "x": …, "value": …, "peer": …, "ratio": …}, …]}

and on stdout it prints the tables alone. `tools/bench` gathers the JSON of all of them, and makes the page with the plots.
"""

from __future__ import annotations

import json as json_module
from typing import TYPE_CHECKING, Any, Self

from attrs import asdict, evolve, frozen

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence
    from pathlib import Path

__all__ = ["Benchmark", "Figure", "compared", "report", "tables", "told"]


@frozen(kw_only=True)
class Figure:
    """One value that was measured."""

    group: str
    """What the values that stand beside it have in common: a title."""
    name: str
    """What was measured: a program, or a kind of store."""
    unit: str
    """`s`, `MB`, `MB/s`, or what is counted."""
    x: float
    """The size for which it was measured, in what `Benchmark.x` counts."""
    value: float | None
    """None where a program did not end within its limit."""
    peer: str = ""
    """The name of the figure of the same group, unit and x with which it is compared; empty for none."""
    ratio: float | None = None
    """The value by that of the peer."""


@frozen(kw_only=True)
class Benchmark:
    """What one benchmark measured."""

    name: str
    """That of its program, `tools/bench_NAME.py`."""
    about: str
    """What was measured and how, as a paragraph of Markdown."""
    x: str
    """What sizes count, such as `images`."""
    figures: tuple[Figure, ...]

    @classmethod
    def from_dict(cls, value: dict[str, Any]) -> Self:
        """Read what `report` wrote; members that are not its own are left out."""
        figures = tuple(Figure(**figure) for figure in value["figures"])
        return cls(name=value["name"], about=value["about"], x=value["x"], figures=figures)


def compared(figures: Iterable[Figure]) -> tuple[Figure, ...]:
    """Return the figures with the ratios to their peers; None where one of both did not end, or the peer is 0.

    Raises:
        ValueError: a figure has a peer that is not among them.
    """
    there = [*figures]
    values = {(figure.group, figure.name, figure.unit, figure.x): figure.value for figure in there}
    if len(values) < len(there):
        raise ValueError("expected one figure for each group, name, unit and x, found two")
    made = []
    for figure in there:
        ratio = None
        if figure.peer:
            key = (figure.group, figure.peer, figure.unit, figure.x)
            if key not in values:
                raise ValueError(f"{figure.name}: expected a figure of its peer {figure.peer} in {key}, found none")
            other = values[key]
            ratio = figure.value / other if figure.value is not None and other else None
        made.append(evolve(figure, ratio=ratio if ratio is None else round(ratio, 4)))
    return tuple(made)


def report(benchmark: Benchmark, *, json: Path | None = None) -> None:
    """Print the tables of a benchmark, and write its JSON if a file is named."""
    print(f"{benchmark.about}\n\n{tables(benchmark)}")
    if json is not None:
        json.write_text(json_module.dumps(asdict(benchmark), indent=1, ensure_ascii=False) + "\n")


def tables(benchmark: Benchmark) -> str:
    """Return a table in Markdown for each group of figures, below its title."""
    return "\n\n".join(_table(benchmark, group) for group in dict.fromkeys(figure.group for figure in benchmark.figures))


def told(value: float | None) -> str:
    """Return a value as people read it: three digits that count, thousands set apart; a dash for what did not end."""
    if value is None:
        return "-"
    if value == int(value) or abs(value) >= 100:
        return f"{value:,.0f}"
    return f"{value:.1f}" if abs(value) >= 10 else f"{value:.2f}" if abs(value) >= 1 else f"{value:.2g}"


def _table(benchmark: Benchmark, group: str) -> str:
    figures = [figure for figure in benchmark.figures if figure.group == group]
    sizes = sorted({figure.x for figure in figures})
    lines = [
        f"**{group}**",
        "",
        "| | " + " | ".join(f"{told(size)} {benchmark.x}" for size in sizes) + " |",
        "|---|" + "---:|" * len(sizes),
    ]
    units = [*dict.fromkeys(figure.unit for figure in figures)]
    rows = dict.fromkeys((figure.name, figure.unit, figure.peer) for figure in figures)
    for name, unit, peer in sorted(rows, key=lambda row: units.index(row[1])):
        row = [figure for figure in figures if (figure.name, figure.unit, figure.peer) == (name, unit, peer)]
        label = f"{name}, {unit}" + (f" (ratio to {peer})" if peer else "")
        lines.append(f"| {label} | " + " | ".join(_cell(row, size) for size in sizes) + " |")
    return "\n".join(lines)


def _cell(row: Sequence[Figure], size: float) -> str:
    figure = next((figure for figure in row if figure.x == size), None)
    if figure is None:
        return ""
    return told(figure.value) + ("" if figure.ratio is None else f" ({told(figure.ratio)})")
