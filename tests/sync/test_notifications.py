from __future__ import annotations

from typing import Any

import orjson
import pytest
from hypothesis import given
from hypothesis import strategies as st

from cstore.errors import FormatError
from cstore.sync.notifications import names_in

DIGEST = f"sha256:{'a' * 64}"
MANIFEST = "application/vnd.docker.distribution.manifest.v2+json"


def docker(**changed: Any) -> dict[str, Any]:  # noqa: ANN401 - members of an event
    """Return an event as registry:2 sends it after `docker push`; `target` changes that."""
    target = {
        "mediaType": MANIFEST,
        "size": 708,
        "digest": DIGEST,
        "length": 708,
        "repository": "atlas/analysis",
        "url": f"http://registry.example.org:5000/v2/atlas/analysis/manifests/{DIGEST}",
        "tag": "v1",
    }
    target.update(changed.pop("target", {}))
    event = {
        "id": "320678d8-ca14-430f-8bb6-4ca139cd83f7",
        "timestamp": "2026-11-24T12:00:00.000000000Z",
        "action": "push",
        "target": {key: value for key, value in target.items() if value is not None},
        "request": {"id": "6df24a34", "addr": "192.0.2.7", "host": "registry.example.org:5000", "method": "PUT", "useragent": "docker"},
        "actor": {},
        "source": {"addr": "registry:5000", "instanceID": "a53db899"},
    }
    return {key: value for key, value in {**event, **changed}.items() if value is not None}


def harbor(kind: str = "PUSH_ARTIFACT", *resources: dict[str, Any], full_name: object = "atlas/analysis") -> dict[str, Any]:
    """Return Harbor's notification of a pushed artifact, or of other ones."""
    url = "hub.example.org/atlas/analysis:v1"
    return {
        "type": kind,
        "occur_at": 1586922308,
        "operator": "admin",
        "event_data": {
            "resources": [*resources] or [{"digest": DIGEST, "tag": "v1", "resource_url": url}],
            "repository": {"name": "analysis", "namespace": "atlas", "repo_full_name": full_name, "repo_type": "private"},
        },
    }


def cloud_event(kind: str = "pushed", **changed: object) -> dict[str, Any]:
    """Return the same as Harbor sends it as a CloudEvent (application/cloudevents+json)."""
    return {
        "specversion": "1.0",
        "id": "66e18103-09c1-41f6-982f-37df223f3eeb",
        "requestid": "51c0b694-0168-4f3c-b0db-282565455d7b",
        "source": "/projects/2/webhook/policies/15",
        "type": f"harbor.artifact.{kind}",
        "datacontenttype": "application/json",
        "time": "2026-11-24T12:00:00Z",
        "data": {**harbor()["event_data"], **changed},
        "operator": "harbor-jobservice",
    }


def envelope(*events: object) -> dict[str, Any]:
    return {"events": [*events]}


HERE = "registry.example.org:5000/atlas/analysis"
LAYER = {"mediaType": "application/octet-stream", "tag": None}


@pytest.mark.parametrize(
    ("value", "expected"),
    [
        pytest.param(envelope(docker()), {f"{HERE}:v1"}, id="a push"),
        pytest.param(envelope(docker(target=LAYER), docker(), docker(target={"tag": "v2"})), {f"{HERE}:v1", f"{HERE}:v2"}, id="several"),
        pytest.param(envelope(), set(), id="no event"),
        pytest.param(envelope(docker(action="pull")), set(), id="a pull"),
        pytest.param(envelope(docker(action="mount")), set(), id="a mount"),
        pytest.param(envelope(docker(target={"tag": None})), set(), id="a push without a tag"),
        pytest.param(envelope(docker(target={"tag": ""})), set(), id="a push of an empty tag"),
        pytest.param(envelope(docker(action="delete", target={"tag": None, "mediaType": None})), {HERE}, id="a deleted digest"),
        pytest.param(envelope(docker(action="delete")), {f"{HERE}:v1"}, id="a deleted tag"),
        pytest.param(envelope(docker(request=None)), {f"{HERE}:v1"}, id="the host of the URL"),
        pytest.param(envelope(docker(request={"host": "EXAMPLE.org"})), {"example.org/atlas/analysis:v1"}, id="a host in capitals"),
        pytest.param(envelope(docker(request={"host": "[2001:db8::1]:5000"})), {"[2001:db8::1]:5000/atlas/analysis:v1"}, id="IPv6"),
        pytest.param(harbor(), {"hub.example.org/atlas/analysis:v1"}, id="Harbor's push"),
        pytest.param(harbor("DELETE_ARTIFACT"), {"hub.example.org/atlas/analysis:v1"}, id="Harbor's deletion"),
        pytest.param(harbor("PULL_ARTIFACT"), set(), id="Harbor's pull"),
        pytest.param(cloud_event(), {"hub.example.org/atlas/analysis:v1"}, id="a CloudEvent"),
        pytest.param(cloud_event("deleted"), {"hub.example.org/atlas/analysis:v1"}, id="a CloudEvent of a deletion"),
        pytest.param(cloud_event("pulled"), set(), id="a CloudEvent of a pull"),
        pytest.param({**cloud_event(), "type": "harbor.scan.completed"}, set(), id="another CloudEvent"),
        pytest.param(harbor("SCANNING_COMPLETED"), set(), id="Harbor's scan"),
        pytest.param(
            harbor("PUSH_ARTIFACT", {"tag": DIGEST, "resource_url": f"hub.example.org/atlas/analysis@{DIGEST}"}), set(), id="no tag"
        ),
        pytest.param(
            harbor("DELETE_ARTIFACT", {"tag": DIGEST, "resource_url": f"hub.example.org/atlas/analysis@{DIGEST}"}),
            {"hub.example.org/atlas/analysis"},
            id="Harbor deletes a digest",
        ),
        pytest.param(
            harbor("PUSH_ARTIFACT", *({"tag": tag, "resource_url": "https://hub.example.org:8443/x"} for tag in ("v1", "v2"))),
            {"hub.example.org:8443/atlas/analysis:v1", "hub.example.org:8443/atlas/analysis:v2"},
            id="Harbor with several",
        ),
    ],
)
def test_what_is_named(value: object, expected: set[str]) -> None:
    """Spec Y13."""
    assert names_in(orjson.dumps(value)) == expected


@pytest.mark.parametrize(
    ("value", "expected"),
    [
        ([], "notification: expected a member events, or type and event_data or data, found an array"),
        ({}, "notification: expected a member events, or type and event_data or data, found an object"),
        ({"events": {}}, "notification: expected a member events, or type and event_data or data, found an object"),
        ({"type": 1}, "notification: expected a member events, or type and event_data or data, found an object"),
        (envelope(docker(), 1), "events[1]: expected an object, found 1"),
        (envelope(docker(target={"repository": "../x"})), 'events[0]: expected a repository, found "../x"'),
        (envelope(docker(target={"repository": None})), "events[0]: expected a repository, found nothing"),
        (envelope(docker(target={"repository": "Atlas"})), 'events[0]: expected a repository, found "Atlas"'),
        (envelope(docker(target={"repository": "a" * 300})), f'events[0]: expected a repository, found "{"a" * 100}…"'),
        (envelope(docker(target={"tag": "v 1"})), 'events[0]: expected a tag, found "v 1"'),
        (envelope(docker(target={"tag": ["v1"]})), "events[0]: expected a tag, found an array"),
        (envelope({"action": "push"}), "events[0].target: expected an object, found nothing"),
        (envelope(docker(request={"host": "a b"})), 'events[0]: expected a registry, found "a b"'),
        (envelope(docker(request={}, target={"url": None})), "events[0]: expected a registry, found nothing"),
        ({"type": "PUSH_ARTIFACT"}, "event_data: expected an object, found nothing"),
        ({**cloud_event(), "data": None}, "data: expected an object, found nothing"),
        (cloud_event(resources=None), "data.resources: expected an array, found nothing"),
        ({**harbor(), "event_data": {"repository": {}, "resources": 1}}, "event_data.resources: expected an array, found 1"),
        (harbor(full_name=None), "event_data.resources[0]: expected a repository, found nothing"),
        (harbor("PUSH_ARTIFACT", {"tag": "v1"}), "event_data.resources[0].resource_url: expected a text, found nothing"),
        (harbor("PUSH_ARTIFACT", {"tag": "v1", "resource_url": "<b>"}), 'event_data.resources[0]: expected a registry, found "<b>"'),
    ],
)
def test_what_is_refused(value: object, expected: str) -> None:
    with pytest.raises(FormatError) as raised:
        names_in(orjson.dumps(value))
    assert str(raised.value) == expected


@pytest.mark.parametrize("body", [b"", b"{", b"\xff\xfe", b'{"events":[NaN]}', b"[" * 100_000, b"1" * 100_000 + b"x"], ids=range(6))
def test_what_is_no_json_is_refused(body: bytes) -> None:
    with pytest.raises(FormatError, match=rf"^notification: expected JSON, found {len(body)} bytes: "):
        names_in(body)


VALUES = st.recursive(
    st.none() | st.booleans() | st.integers(-9, 9) | st.text(max_size=9),
    lambda inner: (
        st.lists(inner, max_size=3)
        | st.dictionaries(
            st.sampled_from(
                (
                    "events",
                    "type",
                    "event_data",
                    "data",
                    "resources",
                    "repository",
                    "target",
                    "action",
                    "tag",
                    "request",
                    "host",
                    "resource_url",
                )
            ),
            inner | st.sampled_from(("push", "delete", "PUSH_ARTIFACT", "harbor.artifact.pushed")),
            max_size=4,
        )
    ),
    max_leaves=12,
)


@given(VALUES)
def test_whatever_comes_is_read_or_refused(value: object) -> None:
    try:
        names = names_in(orjson.dumps(value))
    except FormatError:
        return
    assert isinstance(names, frozenset)
