from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from tests.cli.program import call
from tests.registries import layout, registry
from tools.registries.proxy import Fault, Proxy
from tools.registries.server import Registry, environment_for

if TYPE_CHECKING:
    from pathlib import Path

__all__ = ["layout", "registry"]


@pytest.fixture(autouse=True)
def _environment(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for name, value in environment_for(tmp_path).items():
        monkeypatch.setenv(name, value)


def written(place: Path, *entries: str, more: str = "") -> Path:
    place.write_text("version: 1\ninput:\n" + "".join(f"- {entry}\n" for entry in entries) + more)
    return place


def test_each_finding_is_a_line(tmp_path: Path) -> None:
    """Spec U17."""
    place = written(tmp_path / "w", "a.org/b:1", "a.org/b:1", "{image: a.org/b:2, exlude: x}", "a.org/b:2*", more="owner: x\n")
    done = call("lint", "--offline", place)
    assert done.code == 1
    assert done.out.splitlines() == [
        f"{place}:4:3: duplicate: expected each entry once, found a.org/b:1 again, as at {place}:3:3",
        f"{place}:5:3: covered: expected an entry that adds something, found a.org/b:2, which a.org/b:2* at {place}:6:3 covers",
        f'{place}:5:22: unknown-key: expected one of the keys image, exclude, semver, newest, platform, platforms, forms, found "exlude"',
        f'{place}:7:1: unknown-key: expected one of the keys version, user, cvmfs_repo, output_format, input, ignoreErrors, found "owner"',
        "4 findings: 4 entries, 1 wishlist",
    ]


def test_nothing_is_found_in_a_sound_wishlist(tmp_path: Path) -> None:
    done = call("lint", "--offline", written(tmp_path / "w", "a.org/b:1", "a.org/b:2*"))
    assert (done.code, done.out) == (0, "0 findings: 2 entries, 1 wishlist\n")


def test_what_cannot_be_read_is_found(tmp_path: Path) -> None:
    (tmp_path / "bad").write_text("version: 2\ninput:\n")
    done = call("lint", "--offline", tmp_path / "bad", tmp_path / "none", written(tmp_path / "w", "a.org/b:1"))
    assert done.code == 1
    assert done.out.splitlines() == [
        f'{tmp_path}/bad:1:10: malformed: expected version 1, found "2"',
        f"{tmp_path}/bad:2:7: malformed: expected input, a list of images, found nothing",
        f"{tmp_path}/none: malformed: expected a wishlist, found: No such file or directory",
        "3 findings: 1 entry, 1 wishlist",
    ]


def test_its_json_has_the_same(tmp_path: Path) -> None:
    place = written(tmp_path / "w", "a.org/b:1", "a.org/b:1")
    done = call("lint", "--offline", "--json", place, tmp_path / "none")
    assert done.code == 1
    assert done.json == {
        "entries": 2,
        "findings": [
            {
                "rule": "malformed",
                "file": f"{tmp_path}/none",
                "line": 0,
                "column": 0,
                "said": "expected a wishlist, found: No such file or directory",
            },
            {
                "rule": "duplicate",
                "file": str(place),
                "line": 4,
                "column": 3,
                "said": f"expected each entry once, found a.org/b:1 again, as at {place}:3:3",
            },
        ],
    }


def test_registries_are_asked(tmp_path: Path, registry: Registry, monkeypatch: pytest.MonkeyPatch) -> None:
    """Spec U17."""
    moved, gone = Fault("GET /v2/$", redirect=registry.address), Fault("", times=None, status=404)
    with Proxy(registry.address, moved) as leads, Proxy(registry.address, gone) as dead:
        for name, value in environment_for(tmp_path, registry.address, leads.address, dead.address).items():
            monkeypatch.setenv(name, value)
        entries = [f"{registry.address}/atlas/{rest}" for rest in ("app:v1", "app:v2", "app:v*", "app:x*", "none:*")]
        place = written(tmp_path / "w", *entries, f"{leads.address}/atlas/app:many", f"{dead.address}/a/b:1", f"{dead.address}/a/b:2")
        done = call("lint", place)
        assert [len(dead.seen), len(leads.asked("/v2/$"))] == [1, 1]
    assert done.code == 1
    assert [line.split(": expected")[0] for line in done.out.splitlines()] == [
        f"{place}:3:3: covered",
        f"{place}:4:3: covered",
        f"{place}:4:3: unavailable: docker://{entries[1]}",
        f"{place}:6:3: unmatched",
        f"{place}:7:3: unavailable: docker://{registry.address}/atlas/none",
        f"{place}:8:3: moved-registry",
        f"{place}:9:3: unreachable-registry: docker://{dead.address}",
        "7 findings: 8 entries, 1 wishlist",
    ]


def test_what_is_there_is_not_told(tmp_path: Path, registry: Registry, monkeypatch: pytest.MonkeyPatch) -> None:
    for name, value in environment_for(tmp_path, registry.address).items():
        monkeypatch.setenv(name, value)
    done = call("lint", written(tmp_path / "w", f"{registry.address}/atlas/app:v1", f"{registry.address}/atlas/app:m*"))
    assert (done.code, done.out) == (0, "0 findings: 2 entries, 1 wishlist\n")
