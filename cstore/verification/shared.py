"""Rules about layers that other readers of the repository share with podman (spec V95)."""

from __future__ import annotations

import stat
from typing import TYPE_CHECKING

from cstore.files import Directory, kind_of
from cstore.verification.rules import problem

if TYPE_CHECKING:
    from collections.abc import Iterator

    from cstore.origin import Origin
    from cstore.verification.problem import Problem

__all__ = ["check_shared"]

_SHARED = ".layers"
_TREE = "layerfs"


def check_shared(origin: Origin) -> Iterator[Problem]:
    """Check that each `.layers/XX/DIGEST/layerfs` of the repository is a directory, or leads to one in it.

    containerd's snapshotter for CernVM-FS finds layers there.
    """
    try:
        repository = Directory.at(origin.root)
    except OSError:
        # One that may be entered but not listed; readers see it, and a check does not.
        return
    try:
        with repository.opened(_SHARED) as shared:
            if shared is not None:
                for name in shared.entries():
                    with shared.opened(name) as shard:
                        if shard is not None:
                            yield from _check_shard(origin, shard)
    finally:
        repository.close()


def _check_shard(origin: Origin, shard: Directory) -> Iterator[Problem]:
    for digest in shard.entries():
        with shard.opened(digest) as layer:
            if layer is None:
                continue
            place = layer.place(_TREE)
            target = layer.target(_TREE)
            if target is None:
                found = layer.found(_TREE)
            else:
                mode = origin.kind_at(layer.path.split("/"), target)
                where = "outside of the repository" if mode is None else f"to {kind_of(mode) if mode else 'nothing'}"
                found = "a directory" if mode and stat.S_ISDIR(mode) else f"a symlink {where}"
            if found != "a directory":
                yield problem("V95", place, place, f"expected a directory of the repository, or a symlink to one, found {found}")
