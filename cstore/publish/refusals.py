"""What no way of publishing into CernVM-FS can carry."""

from __future__ import annotations

from typing import TYPE_CHECKING

from cstore.errors import PublishError
from cstore.layer.entry import Kind, shown
from cstore.layer.names import is_reserved

if TYPE_CHECKING:
    from collections.abc import Iterable

    from cstore.delta import PutTree

__all__ = ["refuse_links_to_reserved", "refuse_reserved", "refuse_xattrs"]

_LONGEST_XATTR = 255


def refuse_reserved(trees: Iterable[PutTree]) -> None:
    """See that no layer has a name that CernVM-FS would take for its own (spec C9).

    Raises:
        PublishError: one has; the error lists the names.
    """
    for step in trees:
        if step.reserved:
            raise PublishError(
                f"{step.path}: expected no names that CernVM-FS takes for its own, found {', '.join(step.reserved)}; "
                "--skip-reserved leaves them out"
            )


def refuse_links_to_reserved(trees: Iterable[PutTree]) -> None:
    """See that no file is a hard link to one that is left out for its name: its content would be lost with it.

    Raises:
        PublishError: one is.
    """
    for step in trees:
        for entry, _ in step.tree.walk() if step.reserved else ():
            if entry.kind is Kind.HARDLINK and is_reserved(entry.target) and not is_reserved(entry.path):
                raise PublishError(
                    f"{step.path}: expected no hard links to what is left out, found {shown(entry.path)}, a link to {shown(entry.target)}"
                )


def refuse_xattrs(trees: Iterable[PutTree]) -> None:
    """See that no extended attribute is longer than CernVM-FS keeps (spec C11).

    Raises:
        PublishError: one is.
    """
    for step in trees:
        if step.longest_xattr > _LONGEST_XATTR:
            raise PublishError(
                f"{step.path}: expected extended attributes of up to {_LONGEST_XATTR} bytes, found one of {step.longest_xattr}, "
                "which CernVM-FS would not keep"
            )
