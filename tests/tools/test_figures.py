from __future__ import annotations

import json
from typing import TYPE_CHECKING

import pytest
from attrs import asdict, evolve

from tools.figures import Benchmark, Figure, compared, report, told

if TYPE_CHECKING:
    from pathlib import Path

TAG = Figure(group="tag", name="cstore", unit="s", x=10_000, value=0.3, peer="cp")
CP = Figure(group="tag", name="cp", unit="s", x=10_000, value=0.1)


def test_a_figure_is_compared_with_its_peer_of_the_same_size() -> None:
    small = [evolve(figure, x=100, value=figure.value and figure.value / 4) for figure in (TAG, evolve(CP, value=0.3))]
    assert [figure.ratio for figure in compared([TAG, CP, *small])] == [3, None, 1, None]


@pytest.mark.parametrize(("own", "peer"), [(None, 0.1), (0.3, None), (0.3, 0)])
def test_what_did_not_end_or_took_nothing_gives_no_ratio(own: float | None, peer: float | None) -> None:
    assert compared([evolve(TAG, value=own), evolve(CP, value=peer)])[0].ratio is None


def test_a_peer_must_have_a_figure_of_its_own() -> None:
    with pytest.raises(ValueError, match=r"cstore: expected a figure of its peer cp in \('tag', 'cp', 's', 10000\), found none"):
        compared([TAG, evolve(CP, unit="MB")])


def test_no_figure_stands_twice() -> None:
    with pytest.raises(ValueError, match="expected one figure for each group, name, unit and x, found two"):
        compared([CP, evolve(CP, value=1)])


@pytest.mark.parametrize(
    ("value", "text"),
    [(None, "-"), (0, "0"), (0.0123456, "0.012"), (0.31, "0.31"), (1.234, "1.23"), (12.34, "12.3"), (123.4, "123"), (80000, "80,000")],
)
def test_three_digits_of_a_value_are_told(value: float | None, text: str) -> None:
    assert told(value) == text


def test_a_report_is_tables_on_stdout_and_the_common_shape_in_a_file(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    benchmark = Benchmark(
        name="change",
        about="What it is.",
        x="images",
        figures=compared([evolve(TAG, x=10, value=None), evolve(CP, x=10, value=None), TAG, CP]),
    )
    report(benchmark, json=tmp_path / "told.json")
    assert capsys.readouterr().out.splitlines() == [
        "What it is.",
        "",
        "**tag**",
        "",
        "| | 10 images | 10,000 images |",
        "|---|---:|---:|",
        "| cstore, s (ratio to cp) | - | 0.3 (3) |",
        "| cp, s | - | 0.1 |",
    ]
    written = json.loads((tmp_path / "told.json").read_bytes())
    assert written == asdict(benchmark) | {"figures": [asdict(figure) for figure in benchmark.figures]}
    assert list(written["figures"][0]) == ["group", "name", "unit", "x", "value", "peer", "ratio"]
    assert Benchmark.from_dict(written | {"machine": {}}) == benchmark
