"""A blob downloaded into a file, from where it was cut off if it was (spec Q10)."""

from __future__ import annotations

import re
from typing import IO, TYPE_CHECKING

from attrs import evolve

from cstore.errors import ContentError, SourceError
from cstore.registry.connections import LostError

if TYPE_CHECKING:
    from collections.abc import Callable

    from cstore.registry.client import Client, Request
    from cstore.registry.connections import Answer

__all__ = ["download"]

_PARTIAL = 206
_UNSATISFIABLE = 416
_SUCCESS = 1 << 20
_RANGE = re.compile(r"bytes ([0-9]{1,18})-")


def download(client: Client, request: Request, file: IO[bytes], size: int, tick: Callable[[], object]) -> None:
    """Download a blob; its digest is the caller's to see to.

    Args:
        client: asks for it.
        request: for the blob.
        file: is empty; it has the blob on return.
        size: bytes of the blob: no more than these are taken.
        tick: is called with each part that comes; it raises where the blob is no longer wanted.

    Raises:
        SourceError: it could not be got, after all tries.
        ContentError: it has another size.
    """
    tries = client.tries(f"{request.endpoint}{request.path}")
    mark, begin, farthest = "", 0, 0
    while True:
        asked = {"Range": f"bytes={begin}-", **({"If-Range": mark} if mark else {})} if begin else {}
        wanted = evolve(request, headers={**request.headers, **asked}, taken=(_UNSATISFIABLE,) if begin else ())
        with client.open(wanted, tries) as answer:
            mark = _mark(answer)
            begin = _begin(answer, begin)
            file.seek(begin)
            file.truncate()
            try:
                if answer.status != _UNSATISFIABLE:
                    _write(file, answer, size, request.at, tick)
                reason = "the end"
            except LostError as error:
                reason = str(error)
        begin = file.tell()
        if begin == size:
            return
        if begin - farthest >= _SUCCESS:
            farthest = begin
            tries.had_success()
        if not tries.again():
            raise SourceError(
                f"{request.at}: expected {size} bytes from {request.endpoint.host}, found {begin} and then no more ({reason})"
            )


def _write(file: IO[bytes], answer: Answer, size: int, at: str, tick: Callable[[], object]) -> None:
    length = answer.headers.get("Content-Length", "")
    if length.isascii() and length.isdigit() and file.tell() + int(length) != size:
        raise ContentError(f"{at}: expected {size} bytes, found {file.tell() + int(length)}")
    for chunk in answer.chunks():
        if file.tell() + len(chunk) > size:
            raise ContentError(f"{at}: expected {size} bytes, found more")
        tick()
        file.write(chunk)


def _begin(answer: Answer, asked: int) -> int:
    """Return where in the blob the body of an answer begins: a registry may send all of it, or another part than was asked for."""
    if answer.status != _PARTIAL:
        return 0
    match = _RANGE.match(answer.headers.get("Content-Range", ""))
    begin = int(match[1]) if match else asked
    # What is further on leaves a gap, which no digest lets pass: then the size is wrong too.
    return min(begin, asked)


def _mark(answer: Answer) -> str:
    """Return what tells this content from another one under the same name; a weak ETag does not."""
    tag = answer.headers.get("ETag", "")
    return tag if tag.startswith('"') and tag.isascii() and tag.isprintable() else ""
