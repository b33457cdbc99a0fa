from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from cstore.model.offer import Offer
from tests.cli.program import call
from tests.images import write_layout
from tests.registries import IMAGE, layout, registry
from tools.registries.proxy import Fault, Proxy
from tools.registries.server import Registry, environment_for

if TYPE_CHECKING:
    from pathlib import Path

__all__ = ["layout", "registry"]

TAGS = [f"21.2.{number}" for number in range(1, 121)] + ["21.3.10", "21.2.100-20191127", "latest"]
ALL = [offer.value for offer in Offer]


@pytest.fixture(scope="session")
def many(tmp_path_factory: pytest.TempPathFactory, registry: Registry) -> Registry:
    """The registry with 123 tags in `atlas/many`, and `1` in `atlas/one`."""
    place = tmp_path_factory.mktemp("many") / "layout"
    write_layout(place, {TAGS[0]: IMAGE})
    registry.put("atlas/many", place)
    registry.tag("atlas/many", TAGS[0], *TAGS[1:])
    registry.put("atlas/one", place)
    return registry


@pytest.fixture(autouse=True)
def _environment(many: Registry, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for name, value in many.environment(tmp_path).items():
        monkeypatch.setenv(name, value)


def written(tmp_path: Path, address: str, *entries: str, more: str = "") -> Path:
    place = tmp_path / "w.yaml"
    place.write_text("version: 1\ninput:\n" + "".join(f"- {entry}\n" for entry in entries).replace("HOST", address) + more)
    return place


def test_a_pattern_over_pages_of_tags(tmp_path: Path, many: Registry, monkeypatch: pytest.MonkeyPatch) -> None:
    """Spec U4, U12: 120 tags and more, 50 on a page; the pages are one list."""
    with Proxy(many.address, Fault("/tags/list", times=None, page=50)) as proxy:
        for name, value in environment_for(tmp_path, proxy.address).items():
            monkeypatch.setenv(name, value)
        done = call("expand", written(tmp_path, proxy.address, "HOST/atlas/many:21.2.1*", "HOST/atlas/many:*-2019*"))
        pages = proxy.asked("/tags/list")
    tags = sorted(tag for tag in TAGS if tag.startswith("21.2.1"))
    assert len(tags) == 33
    assert (done.code, done.err) == (0, "")
    assert done.out.splitlines() == [f"{proxy.address}/atlas/many:{tag} linux/amd64" for tag in tags]
    assert len(pages) == 3


def test_a_page_that_fails_is_told_and_the_rest_is_printed(tmp_path: Path, many: Registry, monkeypatch: pytest.MonkeyPatch) -> None:
    """Spec U14, U16."""
    faults = Fault("/many/tags/list.*last=", times=None, status=404), Fault("/tags/list", times=None, page=50)
    with Proxy(many.address, *faults) as proxy:
        for name, value in environment_for(tmp_path, proxy.address).items():
            monkeypatch.setenv(name, value)
        done = call("expand", written(tmp_path, proxy.address, "HOST/atlas/many:21.2.1*", "HOST/atlas/one:*"))
    assert done.code == 1
    assert done.out.splitlines() == [f"{proxy.address}/atlas/one:21.2.1 linux/amd64"]
    at = f"docker://{proxy.address}/atlas/many"
    assert done.err == f"{tmp_path}/w.yaml:3:3: {at}: expected a list of tags from {proxy.address}, found status 404 (Not Found)\n"


def test_filters_platforms_and_digests(tmp_path: Path, many: Registry) -> None:
    place = written(
        tmp_path,
        many.address,
        "{image: HOST/atlas/many, newest: 2, semver: '<21.3', platforms: 'linux/arm64,linux/amd64'}",
        f"HOST/atlas/app:v1@{IMAGE.digest}",
        "HOST/atlas/none:1",
    )
    done = call("expand", place, "--platform", "linux/arm64/v8")
    assert (done.code, done.err) == (0, "")
    assert done.out.splitlines() == [
        f"{many.address}/atlas/app:v1@{IMAGE.digest} linux/arm64/v8",
        f"{many.address}/atlas/many:21.2.119 linux/amd64 linux/arm64",
        f"{many.address}/atlas/many:21.2.120 linux/amd64 linux/arm64",
        f"{many.address}/atlas/none:1 linux/arm64/v8",
    ]


def test_its_json_tells_of_entries_too(tmp_path: Path, many: Registry) -> None:
    place = written(
        tmp_path, many.address, "{image: HOST/atlas/many, newest: 1, exclude: 'l*', forms: flat}", "HOST/atlas/many:x*", "HOST/atlas/gone:*"
    )
    done = call("expand", place, "--json")
    assert done.code == 1
    assert list(done.json) == ["images", "wishes", "problems"]
    name = f"{many.address}/atlas/many:21.3.10"
    assert done.json["images"] == [
        {"name": name, "source": f"docker://{name}", "platform": "linux/amd64", "forms": ["flat"], "wish": f"{place}:3:3"}
    ]
    one, two, three = done.json["wishes"]
    assert one == {
        "text": f"{many.address}/atlas/many",
        "file": str(place),
        "line": 3,
        "column": 3,
        "exclude": ["l*"],
        "semver": None,
        "newest": 1,
        "platforms": [],
        "forms": ["flat"],
        "error": None,
        "matches": True,
    }
    assert (two["matches"], two["error"], three["matches"]) == (False, None, True)
    assert three["error"].startswith(f"docker://{many.address}/atlas/gone: expected a list of tags from {many.address}, found status 404")
    assert done.json["problems"] == [
        f"{place}:5:3: {three['error']}",
        f"{place}:4:3: expected tags for {many.address}/atlas/many:x*, found none",
    ]


def test_an_error_may_be_ignored(tmp_path: Path, many: Registry) -> None:
    """Spec U10, U16."""
    done = call("expand", written(tmp_path, many.address, "HOST/atlas/gone:*", more=f"ignoreErrors: ['{many.address}/atlas/g*']\n"))
    assert (done.code, done.out) == (0, "")
    assert done.err.endswith(" (ignored)\n")


def test_what_is_wrong_with_a_wishlist_is_told_and_others_are_expanded(tmp_path: Path, many: Registry) -> None:
    """Spec U15, U16."""
    (tmp_path / "bad.yaml").write_text("version: 2\ninput:\n- a.org/B\n- a.org/c*\n")
    done = call("expand", tmp_path / "bad.yaml", written(tmp_path, many.address, "HOST/atlas/app:v1"), tmp_path / "none.yaml")
    assert (done.code, done.out) == (1, f"{many.address}/atlas/app:v1 linux/amd64\n")
    assert [line.partition(" ")[0] for line in done.err.splitlines()] == [
        f"{tmp_path}/bad.yaml:1:10:",
        f"{tmp_path}/bad.yaml:3:3:",
        f"{tmp_path}/bad.yaml:4:3:",
        f"{tmp_path}/none.yaml:",
    ]


def test_all_forms_are_usual(tmp_path: Path, many: Registry) -> None:
    place = written(tmp_path, many.address, "HOST/atlas/app:v1")
    assert call("expand", place, "--json").json["images"][0]["forms"] == ALL
    assert call("expand", place, "--json", "--forms", "flat,podman").json["images"][0]["forms"] == ["podman", "flat"]
