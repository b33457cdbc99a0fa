"""What a registry says when it refuses, short, and without what it was shown."""

from __future__ import annotations

from base64 import b64decode
from binascii import Error as NoBase64
from http.client import responses
from typing import TYPE_CHECKING

from cstore.errors import FormatError, SourceError
from cstore.index.gojson import decode
from cstore.registry.connections import LostError

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    from cstore.registry.connections import Answer

__all__ = ["refusal"]

_MOST = 1 << 16
_SHOWN = 200
_SHORTEST_SECRET = 4


def refusal(answer: Answer, secrets: Iterable[str] = ()) -> str:
    """Return the status of an answer and what its first error says; the answer is closed.

    Args:
        answer: whose body was not read yet. If it repeats what was sent in the header Authorization, or a part of it, that is left out.
        secrets: further texts that are left out.
    """
    status = f"status {answer.status}"
    try:
        with answer:
            message = _message(answer.read(_MOST, ""))
    except (LostError, SourceError):
        message = ""
    for secret in sorted({*_parts(answer.proof), *secrets}, key=len, reverse=True):
        message = message.replace(secret, "…")
    shown = "".join(sign if sign.isprintable() else "?" for sign in message[:_SHOWN])
    if shown:
        return f'{status}, "{shown}"'
    usual = responses.get(answer.status, "")
    return f"{status} ({usual})" if usual else status


def _message(data: bytes) -> str:
    try:
        value = decode(data, "")
    except FormatError:
        return ""
    errors = value.get("errors") if isinstance(value, dict) else None
    first = errors[0] if isinstance(errors, list) and errors else value
    if not isinstance(first, dict):
        return ""
    found = next((first[key] for key in ("message", "details", "error_description", "error", "code") if first.get(key)), "")
    return found if isinstance(found, str) else ""


def _parts(proof: str) -> Iterator[str]:
    scheme, _, value = proof.partition(" ")
    texts = [value]
    if scheme == "Basic":
        try:
            user_and_password = b64decode(value).decode()
        except (NoBase64, UnicodeDecodeError):
            user_and_password = ""
        texts += [user_and_password, user_and_password.partition(":")[2]]
    yield from (text for text in texts if len(text) >= _SHORTEST_SECRET)
