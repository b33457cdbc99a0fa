"""Reading a file that an administrator or a user has written."""

from __future__ import annotations

from typing import TYPE_CHECKING

from cstore.errors import SourceError

if TYPE_CHECKING:
    from pathlib import Path

__all__ = ["read_configured"]

_MOST = 8 << 20


def read_configured(file: Path) -> bytes:
    """Return the content of a file, through whatever symlinks lead there.

    Raises:
        SourceError: it cannot be read, or is larger than such a file can be.
    """
    try:
        with file.open("rb") as opened:
            data = opened.read(_MOST + 1)
    except OSError as error:
        raise SourceError(f"{file}: expected a file that can be read, found: {error.strerror}") from None
    if len(data) > _MOST:
        raise SourceError(f"{file}: expected up to {_MOST} bytes, found more")
    return data
