"""The files of containers-registries.conf(5) and containers-registries.conf.d(5), version 2 (spec Q1)."""

from __future__ import annotations

import re
import tomllib
from typing import TYPE_CHECKING

from cstore.errors import FormatError
from cstore.model.digest import found
from cstore.model.fields import Fields
from cstore.registry.configured import read_configured
from cstore.registry.rule import ANY, Mirror, Rule

if TYPE_CHECKING:
    from collections.abc import Iterable
    from pathlib import Path

__all__ = ["read_rules"]

_PULLS = ("all", "digest-only", "tag-only")
_VERSION_1 = ("search", "insecure", "block")


def read_rules(main: Path | None, directories: Iterable[Path], *, must_exist: bool = False) -> tuple[Rule, ...]:
    """Return the rules of all files; of two files with a rule for the same prefix the later one counts.

    Args:
        main: the registries.conf, if there is one.
        directories: with further files `*.conf`, which come in the order of their names.
        must_exist: whether the main file must be there.

    Raises:
        SourceError: a file cannot be read.
        FormatError: a file is malformed, or of version 1.
    """
    rules: dict[str, Rule] = {}
    if main is not None and (must_exist or main.exists()):
        rules = _read(main)
    for directory in directories:
        for file in sorted(directory.glob("*.conf")):
            rules |= _read(file)
    return tuple(rules.values())


def _read(file: Path) -> dict[str, Rule]:
    try:
        value = tomllib.loads(read_configured(file).decode())
    except (tomllib.TOMLDecodeError, UnicodeDecodeError, RecursionError) as error:
        raise FormatError(str(file), f"expected TOML, found something else ({error})") from None
    old = value.get("registries")
    if isinstance(old, dict) and any(isinstance(old.get(key), dict) and old[key].get("registries") for key in _VERSION_1):
        raise FormatError(str(file), "expected version 2, with [[registry]], found version 1, with [registries.search] and the like")
    rules: dict[str, Rule] = {}
    for number, rule in enumerate(Fields(value, str(file)).items("registry", _rule)):
        known = rules.setdefault(rule.prefix, rule)
        if (known.is_insecure, known.is_blocked) != (rule.is_insecure, rule.is_blocked):
            raise FormatError(f"{file}.registry[{number}]", f"expected one rule for {rule.prefix}, found several that do not agree")
    return rules


def _rule(value: object, at: str) -> Rule:
    take = Fields(value, at)
    location, prefix = _place(take, "location"), _place(take, "prefix")
    if not location and not prefix.startswith(ANY):
        raise FormatError(take.at("location"), f"expected a registry, found {found(take.raw('location'))}")
    prefix = prefix or location
    if "*" in location or "*" in prefix.removeprefix(ANY) or (prefix.startswith(ANY) and "/" in prefix):
        raise FormatError(take.at("prefix"), f'expected a registry or a part of it, or "*." and a domain, found {found(prefix)}')
    digests_only = _flag(take, "mirror-by-digest-only")
    mirrors = take.items("mirror", _mirror)
    if (mirrors or location not in ("", prefix)) and re.search("[:@]", prefix.partition("/")[2]):
        raise FormatError(take.at("prefix"), f"expected no tag and no digest where there is another location, found {found(prefix)}")
    if digests_only and any(mirror.pulls != "all" for mirror in mirrors):
        raise FormatError(take.at("mirror"), "expected no pull-from-mirror beside mirror-by-digest-only, found both")
    return Rule(
        prefix=prefix,
        location="" if location == prefix else location,
        is_insecure=_flag(take, "insecure"),
        is_blocked=_flag(take, "blocked"),
        mirrors=mirrors,
        mirrors_have_digests_only=digests_only,
    )


def _mirror(value: object, at: str) -> Mirror:
    take = Fields(value, at)
    location = _place(take, "location")
    if not location or "*" in location:
        raise FormatError(take.at("location"), f"expected a registry, found {found(take.raw('location'))}")
    pulls = take.text_or("pull-from-mirror", "") or "all"
    if pulls not in _PULLS:
        raise FormatError(take.at("pull-from-mirror"), f"expected one of {', '.join(_PULLS)}, found {found(pulls)}")
    return Mirror(location=location, is_insecure=_flag(take, "insecure"), pulls=pulls)


def _place(take: Fields, key: str) -> str:
    text = take.text_or(key, "").strip().rstrip("/")
    if text.startswith(("http://", "https://")):
        raise FormatError(take.at(key), f"expected a registry without a scheme, found {found(text)}")
    return text


def _flag(take: Fields, key: str) -> bool:
    value = take.raw(key)
    if value is not None and not isinstance(value, bool):
        raise FormatError(take.at(key), f"expected true or false, found {found(value)}")
    return bool(value)
