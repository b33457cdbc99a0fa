"""Problems as a SARIF 2.1.0 document, which code scanning services read."""

from __future__ import annotations

from typing import TYPE_CHECKING
from urllib.parse import quote

from cstore import __version__
from cstore.cli import show
from cstore.cli.report import by_rule
from cstore.verification.problem import Reach
from cstore.verification.rules import RULES

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import PurePath

    from cstore.verification.problem import Problem, Rule

__all__ = ["as_sarif"]

_SCHEMA = "https://docs.oasis-open.org/sarif/sarif/v2.1.0/errata01/os/schemas/sarif-schema-2.1.0.json"
_LEVELS = {Reach.STORE: "error", Reach.IMAGE: "error", Reach.FEATURE: "warning", Reach.NOTE: "note"}
_BASE = "STORE"
_SELF = "."
"""The store itself, relative to the store."""


def as_sarif(problems: Sequence[Problem], root: PurePath) -> str:
    """Return a document with all rules and these problems, those of the farthest reach first.

    Args:
        problems: what was found.
        root: where the store is, an absolute path; the paths of problems are relative to it.
    """
    numbers = {code: number for number, code in enumerate(RULES)}
    run = {
        "tool": {"driver": {"name": "cstore", "version": __version__, "rules": [_rule(rule) for rule in RULES.values()]}},
        "originalUriBaseIds": {_BASE: {"uri": root.as_uri().removesuffix("/") + "/"}},
        "results": [_result(problem, numbers) for group in by_rule(problems).values() for problem in group],
    }
    return show.as_json({"$schema": _SCHEMA, "version": "2.1.0", "runs": [run]})


def _rule(rule: Rule) -> dict[str, object]:
    return {
        "id": rule.code,
        "shortDescription": {"text": _message(rule.title)},
        "help": {"text": _message("; ".join(f"broken otherwise: {part}" for part in rule.breaks) or "no command of podman is broken")},
        "defaultConfiguration": {"level": _LEVELS[rule.reach]},
        "properties": {"reach": rule.reach.value, "breaks": _breaks(rule), "tags": [rule.reach.value]},
    }


def _result(problem: Problem, numbers: dict[str, int]) -> dict[str, object]:
    number = {"ruleIndex": numbers[problem.code]} if problem.code in numbers else {}
    return {
        "ruleId": problem.code,
        **number,
        "level": _LEVELS[problem.reach],
        "message": {"text": _message(f"{problem.subject}: {problem.said}")},
        "locations": [
            {
                "physicalLocation": {"artifactLocation": {"uri": _uri(problem.path), "uriBaseId": _BASE}},
                "logicalLocations": [{"fullyQualifiedName": problem.subject}],
            }
        ],
    }


def _breaks(rule: Rule) -> list[dict[str, object]]:
    return [{"podman": list(part.versions), "commands": list(part.commands)} for part in rule.breaks]


def _message(text: str) -> str:
    """Return a text as a message: braces would be placeholders, and brackets before a parenthesis a link (SARIF 3.11.5, 3.11.6)."""
    return text.replace("{", "{{").replace("}", "}}").replace("](", "] (")


def _uri(path: str) -> str:
    """Return a path as a relative URI."""
    return quote(path) if path else _SELF
