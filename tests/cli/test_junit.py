from __future__ import annotations

from typing import TYPE_CHECKING
from xml.etree import ElementTree as ET

import pytest

from cstore.cli.junit import as_junit
from cstore.verification.problem import Problem, Reach, Rule
from cstore.verification.rules import RULES
from tests.cli.problems import ALL, LAYER, LOWER, LOWER_LAYERS, NAMES, NASTY, ORPHAN, OTHER_LOWER, SPLIT

if TYPE_CHECKING:
    from collections.abc import Sequence


def tree(problems: Sequence[Problem], fail_on: Reach = Reach.IMAGE) -> ET.Element:
    return ET.fromstring(as_junit(problems, fail_on).encode())  # noqa: S314 - of our own making


def case(root: ET.Element, code: str) -> ET.Element:
    (only,) = [item for item in root.iter("testcase") if item.attrib["name"].startswith(f"{code} ")]
    return only


def test_a_suite_for_each_reach_and_a_case_for_each_rule() -> None:
    root = tree([])
    assert root.attrib == {"name": "cstore verify", "tests": str(len(RULES)), "failures": "0", "errors": "0"}
    assert [suite.attrib["name"] for suite in root] == ["store", "image", "feature", "note"]
    for suite, reach in zip(root, Reach, strict=True):
        rules = [rule for rule in RULES.values() if rule.reach == reach]
        assert suite.attrib == {
            "name": reach.value,
            "tests": str(len(rules)),
            "failures": "0",
            "errors": "0",
            "skipped": "0",
            "time": "0",
        }
        assert [item.attrib for item in suite] == [
            {"classname": f"cstore.verify.{reach.value}", "name": f"{rule.code} {rule.title}", "time": "0"} for rule in rules
        ]
        assert [len(item) for item in suite] == [0] * len(rules)


def test_a_rule_that_does_not_hold_has_failed_with_its_problems() -> None:
    root = tree([LOWER, LOWER_LAYERS, OTHER_LOWER])
    (failure,) = case(root, "V55")
    assert (failure.tag, failure.attrib) == ("failure", {"message": "2 problems", "type": "image"})
    assert failure.text == (
        "broken: run, save, build (podman 4, 5)\n"
        f"{LAYER}: expected l/A:l/B, found l/A (overlay/cd/lower)\n"
        "layer ee: expected a file, found none (overlay/ee/lower)"
    )
    assert case(root, "V56")[0].attrib["message"] == "1 problem"
    assert (root.attrib["failures"], [suite.attrib["failures"] for suite in root]) == ("2", ["0", "2", "0", "0"])


@pytest.mark.parametrize(
    ("fail_on", "failed", "told"),
    [
        (Reach.IMAGE, ["V3", "V55", "V56"], ["V71", "V81", "V93"]),
        (Reach.FEATURE, ["V3", "V55", "V56", "V71"], ["V81", "V93"]),
        (Reach.NOTE, ["V3", "V55", "V56", "V71", "V81", "V93"], []),
    ],
)
def test_a_rule_of_a_nearer_reach_has_passed_and_tells_its_problems(fail_on: Reach, failed: list[str], told: list[str]) -> None:
    root = tree(ALL, fail_on)
    tags = {item.attrib["name"].split()[0]: [child.tag for child in item] for item in root.iter("testcase") if len(item)}
    assert tags == {**{code: ["failure"] for code in failed}, **{code: ["system-out"] for code in told}}
    assert root.attrib["failures"] == str(len(failed))


def test_output_of_a_rule_that_has_passed_in_full() -> None:
    root = tree([SPLIT, ORPHAN])
    assert case(root, "V71")[0].text == f"broken: save (podman 4, 5, 6)\n{LAYER}: expected a tar-split, found none"
    assert case(root, "V81")[0].text == "overlay/x: expected a layer with this ID, found none"


def test_any_text_makes_sound_xml() -> None:
    assert case(tree([NASTY]), "V93")[0].text == (
        'overlay/x\\udcff\\n</failure>]]>: expected "[text](0)" and {0}, found \\x00\\x1b[31m\\u202e\\ufffe"&<'
        " (overlay/x\\udcff\\n%41 ü:?#[])"
    )


@pytest.mark.parametrize("start", range(0, 0x11000, 0x1000))
def test_any_character_makes_sound_xml(start: int) -> None:
    text = "".join(map(chr, range(start, start + 0x1000)))
    problem = Problem(rule=RULES["V1"], subject="store", path="", said=text)
    assert case(tree([problem]), "V1")[0].text is not None


def test_a_title_with_quotes_is_an_attribute() -> None:
    rule = Rule("X1", Reach.NOTE, "\"a\" & 'b' <c>")
    root = tree([Problem(rule=rule, subject="store", path="", said="expected it, found none")])
    assert case(root, "X1").attrib["name"] == "X1 \"a\" & 'b' <c>"
    assert root.attrib["tests"] == str(len(RULES) + 1)


def test_a_document_in_full() -> None:
    lines = as_junit([NAMES], Reach.IMAGE).splitlines()
    assert lines[:2] == [
        '<?xml version="1.0" encoding="UTF-8"?>',
        f'<testsuites name="cstore verify" tests="{len(RULES)}" failures="1" errors="0">',
    ]
    assert lines[-2:] == ["  </testsuite>", "</testsuites>"]
    at = lines.index('    <testcase classname="cstore.verify.store" name="V3 a name belongs to one image" time="0">')
    assert lines[at + 1 : at + 4] == [
        '      <failure message="1 problem" type="store">broken: images, run, save, build, pull (podman 4, 5, 6)',
        f"{NAMES.subject}: expected names of its own, found &quot;a&quot; (overlay-images/images.json)</failure>",
        "    </testcase>",
    ]
