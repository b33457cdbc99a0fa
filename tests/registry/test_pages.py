from __future__ import annotations

import json
from typing import TYPE_CHECKING

import pytest

from cstore.errors import FormatError, SourceError
from cstore.registry.pages import next_page
from tools.registries.proxy import Fault, Proxy
from tools.registries.server import registries_of

if TYPE_CHECKING:
    from cstore.registry.registries import Registries
    from tools.registries.server import Registry

URL = "https://registry.example.org/v2/a/tags/list?n=2"


@pytest.mark.parametrize(
    ("links", "path"),
    [
        pytest.param([], None, id="none"),
        pytest.param(['</v2/a/tags/list?last=b&n=2>; rel="next"'], "/v2/a/tags/list?last=b&n=2", id="with a path"),
        pytest.param(["</v2/a/tags/list?last=b>;rel=next"], "/v2/a/tags/list?last=b", id="without quotes"),
        pytest.param(['<?last=b>; rel="next"'], "/v2/a/tags/list?last=b", id="only a query"),
        pytest.param(['<list>; rel="next"'], "/v2/a/tags/list", id="without a query"),
        pytest.param(['<https://registry.example.org/v2/x?a>; rel="next"'], "/v2/x?a", id="with the host"),
        pytest.param(['<https://REGISTRY.example.org:443/v2/x>; rel="next"'], "/v2/x", id="with the usual port"),
        pytest.param(['<a>; rel="prev", <b?x,y>; title="a, b"; rel="first next"'], "/v2/a/tags/b?x,y", id="one of several"),
        pytest.param(['<a>; rel="prev"', '<b>; REL="NEXT"'], "/v2/a/tags/b", id="in another header"),
        pytest.param(['<a>; rel="nextone"'], None, id="another relation"),
        pytest.param(['<a>; title="rel=next"'], None, id="only in a title"),
        pytest.param(["nothing"], None, id="no link"),
    ],
)
def test_the_next_page(links: list[str], path: str | None) -> None:
    assert next_page(URL, links, "x") == path


@pytest.mark.parametrize(
    "target", ["https://evil.example.org/", "http://registry.example.org/v2/", "https://registry.example.org:444/", "//evil.example.org/x"]
)
def test_a_page_elsewhere(target: str) -> None:
    with pytest.raises(SourceError) as error:
        next_page(URL, [f'<{target}>; rel="next"'], "x")
    assert str(error.value) == "x: expected the next page of the list of tags at registry.example.org, found it elsewhere"


@pytest.mark.parametrize("target", ["file:///etc/passwd", "http://[", "https://user:secret@registry.example.org/", "//[x"])
def test_a_page_nowhere(target: str) -> None:
    with pytest.raises(SourceError, match=r"^x: expected an address that begins with https:// and a host, found another one$"):
        next_page(URL, [f'<{target}>; rel="next"'], "x")


TAGS = [f"v{number:03}" for number in range(120)]


@pytest.fixture(scope="module", autouse=True)
def many(registry: Registry) -> None:
    registry.tag("atlas/app", "v1", *TAGS)


def tags(registries: Registries, registry: Registry, address: str = "") -> tuple[str, ...]:
    name = registry.name("atlas/app")
    with registries:
        return registries.tags(type(name)(address or name.registry, name.repository, "latest"))


def test_over_a_hundred_tags_on_pages(registry: Registry) -> None:
    with Proxy(registry.address, Fault("tags/list", page=50, times=None)) as proxy:
        found = tags(registries_of(proxy.address), registry, proxy.address)
    assert list(found) == sorted(["many", *TAGS, "v1"])
    assert [seen.path.partition("?")[2] for seen in proxy.seen if "n=" in seen.path] == ["n=1000", "last=v048&n=50", "last=v098&n=50"]


@pytest.mark.parametrize(
    ("fault", "sentence"),
    [
        pytest.param(
            Fault("last=", status=404, times=None), "expected a list of tags from {0}, found status 404 (Not Found)", id="not there"
        ),
        pytest.param(
            Fault("last=", status=500, times=None),
            "expected a list of tags from {0}, found status 500 (Internal Server Error)",
            id="failing",
        ),
        pytest.param(
            Fault("last=", cut=10, times=None),
            "expected a list of tags from {0}, found only a part of it (",
            id="cut off",
        ),
        pytest.param(Fault("last=", status=200, body=b"{", times=None), "list of tags: expected JSON, found ", id="no JSON"),
        pytest.param(
            Fault("last=", status=200, body=json.dumps({"tags": [7]}).encode(), times=None),
            "list of tags.tags[0]: expected text, found 7",
            id="no tags",
        ),
        pytest.param(
            Fault("last=", status=200, body=b'{"tags":[]}', headers={"Link": '</v2/atlas/app/tags/list?n=1000>; rel="next"'}, times=None),
            "expected the pages of the list of tags to end, found one twice",
            id="a circle",
        ),
        pytest.param(
            Fault("last=", status=200, body=b'{"tags":[]}', headers={"Link": '<http://127.0.0.1:1/x>; rel="next"'}, times=None),
            "expected the next page of the list of tags at {0}, found it elsewhere",
            id="at another port",
        ),
    ],
)
def test_a_part_of_a_list_is_no_list(registry: Registry, fault: Fault, sentence: str) -> None:
    """Spec Q9."""
    with (
        Proxy(registry.address, fault, Fault("tags/list", page=50, times=None)) as proxy,
        pytest.raises((SourceError, FormatError)) as error,
    ):
        tags(registries_of(proxy.address), registry, proxy.address)
    assert str(error.value).startswith(f"docker://{proxy.address}/atlas/app: {sentence.format(proxy.address)}")


def test_a_repository_without_tags(registry: Registry) -> None:
    with Proxy(registry.address, Fault("tags/list", status=200, body=b'{"name":"atlas/app","tags":null}', times=None)) as proxy:
        assert tags(registries_of(proxy.address), registry, proxy.address) == ()


def test_a_list_without_end(registry: Registry, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("cstore.registry.pages._MOST_PAGES", 2)
    with Proxy(registry.address, Fault("tags/list", page=20, times=None)) as proxy, pytest.raises(SourceError) as error:
        tags(registries_of(proxy.address), registry, proxy.address)
    assert str(error.value).endswith("expected up to 2 pages and 1000000 tags, found more")
