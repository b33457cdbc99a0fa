from __future__ import annotations

import json

import pytest

from cstore.cli.report import by_rule, json_line, problem_line, report_lines, summary
from cstore.verification.problem import Problem, Reach, printable
from tests.cli.problems import ALL, IMAGE, LAYER, LOWER, LOWER_LAYERS, NAMES, NASTY, ORPHAN, OTHER_LOWER, SPLIT

REPORT = f"""\
store: every command of every reader fails
  V3 a name belongs to one image; broken otherwise: images, run, save, build, pull (podman 4, 5, 6)
    {IMAGE}: expected names of its own, found "a" (overlay-images/images.json)
image: an image cannot be run, is not what it says, or is pulled again
  V55 lower lists the links of the layers below; broken otherwise: run, save, build (podman 4, 5)
    {LAYER}: expected l/A:l/B, found l/A (overlay/cd/lower)
    layer ee: expected a file, found none (overlay/ee/lower)
  V56 lower-layers lists the layers below; broken otherwise: run, save, build (podman 6)
    {LAYER}: expected 2 lines, found 1 (overlay/cd/lower-layers)
feature: something else does not work
  V71 a layer has its tar-split; broken otherwise: save (podman 4, 5, 6)
    {LAYER}: expected a tar-split, found none
note: nothing fails for readers
  V81 each directory of overlay is a layer's
    overlay/x: expected a layer with this ID, found none
  V93 no symlink has text that CernVM-FS clients expand
    overlay/x\\udcff\\n</failure>]]>: expected "[text](0)" and {{0}}, found \\x00\\x1b[31m\\u202e\\ufffe"&< (overlay/x\\udcff\\n%41 ü:?#[])
"""


def test_problems_stand_below_their_reach_and_their_rule() -> None:
    assert "".join(f"{line}\n" for line in report_lines(ALL)) == REPORT


def test_without_problems_the_report_is_empty() -> None:
    assert list(report_lines([])) == []


def test_rules_come_by_reach_and_then_as_they_were_found() -> None:
    assert [(rule.code, problems) for rule, problems in by_rule(ALL).items()] == [
        ("V3", [NAMES]),
        ("V55", [LOWER, OTHER_LOWER]),
        ("V56", [LOWER_LAYERS]),
        ("V71", [SPLIT]),
        ("V81", [ORPHAN]),
        ("V93", [NASTY]),
    ]


@pytest.mark.parametrize(
    ("problem", "line"),
    [
        pytest.param(LOWER, f"{LAYER}: expected l/A:l/B, found l/A (overlay/cd/lower)", id="with a path"),
        pytest.param(SPLIT, f"{LAYER}: expected a tar-split, found none", id="without a path"),
        pytest.param(ORPHAN, "overlay/x: expected a layer with this ID, found none", id="the path is the subject"),
    ],
)
def test_a_problem_is_one_line(problem: Problem, line: str) -> None:
    assert problem_line(problem) == line


@pytest.mark.parametrize(
    ("problems", "line"),
    [
        pytest.param(ALL, "7 problems: 1 store, 3 image, 1 feature, 2 note", id="all"),
        pytest.param((NAMES,), "1 problem: 1 store", id="one"),
        pytest.param((SPLIT, SPLIT), "2 problems: 2 feature", id="two of one reach"),
    ],
)
def test_the_last_line_counts_them(problems: tuple[Problem, ...], line: str) -> None:
    assert summary(problems) == line


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        pytest.param("", "", id="nothing"),
        pytest.param("plain ü 像 😀", "plain ü 像 😀", id="letters of all kinds"),
        pytest.param("a\nb\tc\r", "a\\nb\\tc\\r", id="lines"),
        pytest.param("\x1b[2J\x00\x7f\x9b", "\\x1b[2J\\x00\\x7f\\x9b", id="controls"),
        pytest.param("\udcff", "\\udcff", id="no UTF-8"),
        pytest.param("\u202ea", "\\u202ea", id="other direction"),
        pytest.param("\U000e0001", "\\U000e0001", id="invisible"),
    ],
)
def test_what_cannot_be_printed_is_escaped(text: str, shown: str) -> None:
    assert printable(text) == shown
    assert printable(text).isprintable()


@pytest.mark.parametrize("problem", ALL, ids=lambda problem: problem.code)
def test_a_line_of_json_says_all(problem: Problem) -> None:
    line = json_line(problem)
    assert "\n" not in line
    told = json.loads(line.encode())
    assert told == problem.to_dict()
    assert list(told) == ["code", "reach", "subject", "path", "said", "title", "breaks"]


def test_a_line_of_json_in_full() -> None:
    assert json_line(SPLIT) == (
        f'{{"code":"V71","reach":"feature","subject":"{LAYER}","path":"","said":"expected a tar-split, found none",'
        '"title":"a layer has its tar-split","breaks":[{"podman":["4","5","6"],"commands":["save"]}]}'
    )


def test_each_reach_has_a_heading() -> None:
    problems = [NAMES, LOWER, SPLIT, ORPHAN]
    assert [line.partition(":")[0] for line in report_lines(problems) if line[0] != " "] == [reach.value for reach in Reach]
