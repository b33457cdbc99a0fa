from __future__ import annotations

from pathlib import Path

import pytest

from cstore.errors import SourceError
from cstore.model.remote import RemoteName
from cstore.registry.configuration import Configuration
from cstore.registry.rule import Mirror, Rule

DIGEST = f"sha256:{'0' * 64}"


def asked(name: str, *rules: Rule) -> list[str]:
    """Return where a name is asked for, `!` for insecure, `~` for a mirror."""
    endpoints = Configuration(rules).endpoints(RemoteName.parse(name))
    return [f"{'~' * each.is_mirror}{'!' * each.is_insecure}{each}" for each in endpoints]


@pytest.mark.parametrize(
    ("name", "rules", "places"),
    [
        pytest.param("a.org/b:1", [], ["a.org/b"], id="no rules"),
        pytest.param("debian:12", [], ["docker.io/library/debian"], id="Docker Hub"),
        pytest.param("registry.hub.docker.com/library/debian:12", [], ["docker.io/library/debian"], id="Docker Hub by another name"),
        pytest.param("a.org/b:1", [Rule(prefix="a.org", is_insecure=True)], ["!a.org/b"], id="insecure"),
        pytest.param("a.org:5000/b:1", [Rule(prefix="a.org", is_insecure=True)], ["!a.org:5000/b"], id="a port goes on with a colon"),
        pytest.param("a.orgs/b:1", [Rule(prefix="a.org", is_insecure=True)], ["a.orgs/b"], id="another host that begins so"),
        pytest.param("a.org/bc:1", [Rule(prefix="a.org/b", is_insecure=True)], ["a.org/bc"], id="another path that begins so"),
        pytest.param("a.org/b/c:1", [Rule(prefix="a.org/b", location="m.org/x")], ["m.org/x/c"], id="moved"),
        pytest.param("a.org/b:1", [Rule(prefix="a.org/b:1", is_insecure=True)], ["!a.org/b"], id="with a tag"),
        pytest.param("a.org/b:2", [Rule(prefix="a.org/b:1", is_insecure=True)], ["a.org/b"], id="with another tag"),
        pytest.param(f"a.org/b@{DIGEST}", [Rule(prefix=f"a.org/b@{DIGEST}", is_insecure=True)], ["!a.org/b"], id="with a digest"),
        pytest.param(
            "a.org/b/c:1",
            [Rule(prefix="a.org/b", location="long.org"), Rule(prefix="a.org", location="short.org")],
            ["long.org/c"],
            id="the longest",
        ),
        pytest.param("x.y.a.org/b:1", [Rule(prefix="*.a.org", is_insecure=True)], ["!x.y.a.org/b"], id="a wildcard"),
        pytest.param("x.a.org/b:1", [Rule(prefix="*.a.org", location="m.org")], ["m.org/b"], id="a wildcard moved"),
        pytest.param("x.a.org:5/b:1", [Rule(prefix="*.a.org", location="m.org")], ["m.org:5/b"], id="a wildcard moved, with a port"),
        pytest.param("a.org/b:1", [Rule(prefix="*.a.org", location="m.org")], ["a.org/b"], id="a wildcard is not for the domain itself"),
        pytest.param(
            "x.a.org/b:1",
            [Rule(prefix="x.a.org", location="m.org"), Rule(prefix="*.a.org", location="n.org")],
            ["m.org/b"],
            id="a wildcard that is as long comes second",
        ),
        pytest.param(
            "a.org/b:1",
            [Rule(prefix="a.org", mirrors=(Mirror(location="m.org"), Mirror(location="n.org/x", is_insecure=True)))],
            ["~m.org/b", "~!n.org/x/b", "a.org/b"],
            id="mirrors",
        ),
        pytest.param(
            "a.org/b:1",
            [Rule(prefix="a.org", mirrors=(Mirror(location="m.org", pulls="digest-only"), Mirror(location="n.org", pulls="tag-only")))],
            ["~n.org/b", "a.org/b"],
            id="mirrors for tags",
        ),
        pytest.param(
            f"a.org/b:1@{DIGEST}",
            [Rule(prefix="a.org", mirrors=(Mirror(location="m.org", pulls="digest-only"), Mirror(location="n.org", pulls="tag-only")))],
            ["~m.org/b", "a.org/b"],
            id="mirrors for digests",
        ),
        pytest.param(
            "a.org/b:1",
            [Rule(prefix="a.org", mirrors=(Mirror(location="m.org"),), mirrors_have_digests_only=True)],
            ["a.org/b"],
            id="a tag",
        ),
        pytest.param(
            "debian:12",
            [Rule(prefix="docker.io", mirrors=(Mirror(location="m.org"),))],
            ["~m.org/library/debian", "docker.io/library/debian"],
            id="a mirror of Docker Hub",
        ),
    ],
)
def test_where_a_name_is_asked_for(name: str, rules: list[Rule], places: list[str]) -> None:
    """Spec Q1, Q2."""
    assert asked(name, *rules) == places


def test_what_is_blocked() -> None:
    with pytest.raises(SourceError) as error:
        asked("a.org/b:1", Rule(prefix="a.org", is_blocked=True))
    assert str(error.value) == "docker://a.org/b:1: expected a registry that may be asked, found a.org blocked in registries.conf"


def test_the_usual_places(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("cstore.registry.configuration._SYSTEM", tmp_path / "etc")

    def put(place: str, location: str) -> None:
        (tmp_path / place).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / place).write_text(f'[[registry]]\nlocation = "{location}"\n')

    def found(**environment: str) -> list[str]:
        return [rule.prefix for rule in Configuration.usual(environment, tmp_path / "home").rules]

    assert found() == []
    put("etc/registries.conf", "system.org")
    put("etc/registries.conf.d/a.conf", "drop-in.org")
    assert found() == ["system.org", "drop-in.org"]
    put("home/.config/containers/registries.conf", "own.org")
    put("home/.config/containers/registries.conf.d/a.conf", "own-drop-in.org")
    assert found() == ["own.org", "drop-in.org", "own-drop-in.org"]
    put("named.conf", "named.org")
    assert found(CONTAINERS_REGISTRIES_CONF=str(tmp_path / "named.conf")) == ["named.org", "drop-in.org", "own-drop-in.org"]
    assert Configuration.usual({}, tmp_path / "home").certificates == (
        tmp_path / "home/.config/containers/certs.d",
        tmp_path / "etc/certs.d",
        Path("/etc/docker/certs.d"),
    )
