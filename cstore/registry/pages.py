"""Lists that a registry sends in pages, each with a Link to the next one (spec Q9)."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING
from urllib.parse import urljoin, urlsplit

from attrs import evolve

from cstore.errors import SourceError
from cstore.index.gojson import decode
from cstore.model.fields import Fields
from cstore.registry.client import Request
from cstore.registry.connections import origin

if TYPE_CHECKING:
    from collections.abc import Iterable

    from cstore.registry.client import Client
    from cstore.registry.endpoint import Endpoint

__all__ = ["all_tags", "next_page"]

_PAGE = 1000
_MOST_PAGES = 10_000
_MOST_TAGS = 1_000_000
_LINK = re.compile(r'\s*<([^<>]*)>((?:\s*;\s*[\w!#$%&\'*+.^`|~-]+(?:\s*=\s*(?:"(?:[^"\\]|\\.)*"|[^\s";,]*))?)*)\s*(?:,|$)')
_NEXT = re.compile(r';\s*rel\s*=\s*(?:"(?:[^"]*\s)?next(?:\s[^"]*)?"|next(?=\s*(?:;|$)))', re.IGNORECASE)


def all_tags(client: Client, endpoint: Endpoint, at: str) -> tuple[str, ...]:
    """Return the tags of a repository, in the registry's order, each once.

    Raises:
        SourceError: a page cannot be got, the pages do not end, or one leads elsewhere; a part of the list is no list.
        FormatError: a page is malformed.
    """
    request = Request(endpoint=endpoint, path=f"{endpoint.path('tags', 'list')}?n={_PAGE}", at=at, wanted="a list of tags")
    tags: dict[str, None] = {}
    seen = {request.path}
    while True:
        answer, data = client.read(request)
        take = Fields(decode(data, f"{at}: list of tags"), f"{at}: list of tags")
        tags.update(dict.fromkeys(take.texts("tags")))
        path = next_page(answer.url, answer.links, at)
        if path is None:
            return tuple(tags)
        if path in seen:
            raise SourceError(f"{at}: expected the pages of the list of tags to end, found one twice")
        if len(seen) >= _MOST_PAGES or len(tags) > _MOST_TAGS:
            raise SourceError(f"{at}: expected up to {_MOST_PAGES} pages and {_MOST_TAGS} tags, found more")
        seen.add(path)
        request = evolve(request, path=path)


def next_page(url: str, links: Iterable[str], at: str) -> str | None:
    """Return the path and query of the next page; None where there is none.

    Args:
        url: of this page.
        links: the values of its header Link.
        at: what errors call it.

    Raises:
        SourceError: it is at another host, or somebody's else protocol.
    """
    for value in links:
        place = 0
        while match := _LINK.match(value, place):
            place = match.end()
            if _NEXT.search(match[2]):
                try:
                    target = urljoin(url, match[1])
                except ValueError:
                    target = ""
                if origin(target, at) != origin(url, at):
                    raise SourceError(f"{at}: expected the next page of the list of tags at {urlsplit(url).netloc}, found it elsewhere")
                parts = urlsplit(target)
                return f"{parts.path}?{parts.query}" if parts.query else parts.path
            if place >= len(value):
                break
    return None
