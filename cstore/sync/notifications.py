"""Notifications of registries: which images they name (spec Y13 and Y14)."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Any

import orjson

from cstore.errors import FormatError
from cstore.model.digest import found

if TYPE_CHECKING:
    from collections.abc import Iterator

__all__ = ["names_in"]

_HOST = re.compile(r"(?:[a-z0-9](?:[a-z0-9.-]{0,253}[a-z0-9])?|\[[0-9a-f:.]{2,45}\])(?::[0-9]{1,5})?", re.ASCII)
_PART = r"[a-z0-9]+(?:(?:\.|_|__|-+)[a-z0-9]+)*"
_REPOSITORY = re.compile(rf"{_PART}(?:/{_PART})*", re.ASCII)
_LONGEST = 255
_TAG = re.compile(r"[\w][\w.-]{0,127}", re.ASCII)
_DIGEST = re.compile(r"[a-z0-9]+(?:[+._-][a-z0-9]+)*:[0-9a-fA-F]{32,}", re.ASCII)
_BLOBS = ("application/octet-stream", "layer", "rootfs", "config")
_HARBOR = {
    "PUSH_ARTIFACT": ("event_data", True),
    "DELETE_ARTIFACT": ("event_data", False),
    "harbor.artifact.pushed": ("data", True),
    "harbor.artifact.deleted": ("data", False),
}
"""In which member Harbor tells of it, in its own form and as CloudEvents, and whether it is a push."""


def names_in(body: bytes) -> frozenset[str]:
    """Return the `registry/repository[:tag]` that a notification tells of, in the registry's own words.

    It is an envelope of the Docker registry's events, or Harbor's JSON, in its own form or as a CloudEvent. Pulls, layers, and manifests
    pushed without a tag name nothing, since no tag moves by them. A deletion that names no tag names the whole repository.

    Raises:
        FormatError: it is neither, or what it names is no image.
    """
    try:
        value = orjson.loads(body)
    except orjson.JSONDecodeError as error:
        raise FormatError("notification", f"expected JSON, found {len(body)} bytes: {error.args[0].partition(': line')[0]}") from None
    if isinstance(value, dict) and isinstance(value.get("events"), list):
        return frozenset(name for place, event in enumerate(value["events"]) for name in _docker(event, f"events[{place}]"))
    if isinstance(value, dict) and isinstance(value.get("type"), str):
        return frozenset(_harbor(value))
    raise FormatError("notification", f"expected a member events, or type and event_data or data, found {found(value)}")


def _docker(event: object, at: str) -> Iterator[str]:
    """Yield what an event of the Docker registry names: target and request are as its documentation of notifications has them."""
    event = _object(event, at)
    action = event.get("action")
    if action not in ("push", "delete"):
        return
    target = _object(event.get("target"), f"{at}.target")
    tag, kind = target.get("tag") or "", target.get("mediaType") or ""
    if not isinstance(kind, str) or any(word in kind for word in _BLOBS) or (action == "push" and not tag):
        return
    request = event.get("request")
    host = request.get("host") if isinstance(request, dict) else None
    if not host:
        url = target.get("url")
        host = url.partition("://")[2].partition("/")[0] if isinstance(url, str) else None
    yield _name(host, target.get("repository"), tag, at)


def _harbor(value: dict[str, Any]) -> Iterator[str]:
    """Yield what Harbor tells of: the registry's host stands only in the URLs of the artifacts."""
    member, is_push = _HARBOR.get(value["type"], ("", False))
    if not member:
        return
    data = _object(value.get(member), member)
    repository = _object(data.get("repository"), f"{member}.repository").get("repo_full_name")
    resources = data.get("resources")
    if not isinstance(resources, list):
        raise FormatError(f"{member}.resources", f"expected an array, found {found(resources)}")
    for place, item in enumerate(resources):
        at = f"{member}.resources[{place}]"
        resource = _object(item, at)
        tag, url = resource.get("tag") or "", resource.get("resource_url")
        if not isinstance(url, str):
            raise FormatError(f"{at}.resource_url", f"expected a text, found {found(url)}")
        if isinstance(tag, str) and _DIGEST.fullmatch(tag):
            tag = ""
        if tag or not is_push:
            yield _name(url.rpartition("://")[2].partition("/")[0], repository, tag, at)


def _name(host: object, repository: object, tag: object, at: str) -> str:
    host = host.lower() if isinstance(host, str) else host
    for said, value, form in (("a registry", host, _HOST), ("a repository", repository, _REPOSITORY)):
        if not isinstance(value, str) or len(value) > _LONGEST or not form.fullmatch(value):
            raise FormatError(at, f"expected {said}, found {found(value)}")
    if tag and (not isinstance(tag, str) or not _TAG.fullmatch(tag)):
        raise FormatError(at, f"expected a tag, found {found(tag)}")
    return f"{host}/{repository}" + (f":{tag}" if tag else "")


def _object(value: object, at: str) -> dict[str, Any]:
    if not isinstance(value, dict):
        raise FormatError(at, f"expected an object, found {found(value)}")
    return value
