"""What a client sees."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

from tools.cvmfs_standin.mirror import mirror_tree
from tools.cvmfs_standin.mounts import bind_read_only, unmount
from tools.cvmfs_standin.slots import newest

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path

    from tools.cvmfs_standin.site import Repository

__all__ = ["expand", "mount_client"]

_VARIABLE = re.compile(r"\$\((\w+)(?::-([^)]*))?\)")


def expand(text: str, variables: Mapping[str, str]) -> str:
    """Expand `$(NAME)` and `$(NAME:-default)` in the text of a symlink."""
    return _VARIABLE.sub(lambda match: variables.get(match[1]) or match[2] or "", text)


def mount_client(repository: Repository, directory: Path, variables: Mapping[str, str]) -> None:
    """Show the newest revision in a directory, as a client's mount does: read-only, nodev, nosuid.

    Its files are hard links, so the directory must be on the repository's file system. Called again, it shows the newest revision then.
    """
    directory.mkdir(parents=True, exist_ok=True)
    unmount(directory)
    with newest(repository) as (root, _):
        mirror_tree(root, str(directory), lambda text: expand(text, variables))
    bind_read_only(directory)
