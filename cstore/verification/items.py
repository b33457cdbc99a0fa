"""The files of an image's big data (spec B1, B2)."""

from __future__ import annotations

import os

from attrs import frozen

from cstore.errors import FormatError
from cstore.files import Directory, UnreadableError, read_all
from cstore.model.layout import big_data_file

__all__ = ["Items"]

_LARGEST_ITEM = 64 << 20


@frozen
class Items:
    """The big data of one image. The present converter's `manifest` is a symlink into the repository, which is followed."""

    path: str
    """Of its directory in the store."""
    directory: Directory | None
    found: str
    """What is where the directory should be."""

    def place(self, key: str) -> str:
        """Return where an item is."""
        try:
            return f"{self.path}/{big_data_file(key)}"
        except (FormatError, UnicodeEncodeError):
            return self.path

    def size(self, key: str) -> int:
        """Return the bytes of an item.

        Raises:
            UnreadableError: it is not there, or no file.
        """
        file = self._open(key)
        try:
            return os.fstat(file).st_size
        finally:
            os.close(file)

    def read(self, key: str) -> bytes:
        """Return an item.

        Raises:
            UnreadableError: it is not there, no file, cannot be read, or is larger than any manifest.
        """
        file = self._open(key)
        try:
            return read_all(file, _LARGEST_ITEM)
        finally:
            os.close(file)

    def _open(self, key: str) -> int:
        if self.directory is None:
            raise UnreadableError("nothing" if self.found == "nothing" else f"{self.found} in the place of its directory")
        try:
            name = big_data_file(key)
        except (FormatError, UnicodeEncodeError):
            raise UnreadableError("a key that makes no file name") from None
        try:
            return self.directory.open(name)
        except UnreadableError:
            if self.directory.target(name) is None:
                raise
            raise UnreadableError("a symlink that leads to no file in the repository") from None
