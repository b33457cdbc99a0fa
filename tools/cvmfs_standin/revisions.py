"""Publishing a draft as the next revision, and what is known of each revision."""

from __future__ import annotations

import hashlib
import json
import os
import signal
import time
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

from tools.cvmfs_standin.costs import costs
from tools.cvmfs_standin.draft import Draft
from tools.cvmfs_standin.mirror import mirror_paths
from tools.cvmfs_standin.site import CommandError, Repository, locked, replace_link
from tools.cvmfs_standin.slots import Manifest, changes_after, free_slots, manifest, note_of, take_slot

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    from tools.cvmfs_standin.site import Site

__all__ = ["add_tag", "commit", "make_repository", "open_draft", "open_old_draft", "records", "roll_back", "tags"]


def open_draft(repository: Repository) -> Draft:
    """Begin a revision from the newest one."""
    slot = take_slot(repository)
    base = slot.revision
    if base is None:
        raise CommandError("the tree is not in order")
    return Draft(repository, slot, base)


def open_old_draft(repository: Repository, revision: int, lease: str) -> Draft | None:
    """Begin a revision from an older one, if its tree is still there: below the lease, what came after is undone."""
    for slot in free_slots(repository):
        if slot.revision == revision:
            return Draft(repository, slot, revision, lease)
        slot.release()
    for place in (repository.storage / "trees").iterdir():
        # Some publisher has it mounted, so that nobody changes it.
        if note_of(place) == revision:
            slot = take_slot(repository)
            mirror_paths(str(place / "root"), slot.root, changes_after(repository, revision, slot.revision or revision))
            return Draft(repository, slot, revision, lease)
    return None


def commit(draft: Draft, *, tag: str = "", message: str = "") -> Manifest:
    """Publish a draft. One rename makes all of it visible; before that, nothing is."""
    repository = draft.repository
    storage = repository.storage
    with _undisturbed(), locked(storage / "commit.lock"):
        old = manifest(repository)
        if old.revision != draft.base:
            draft.catch_up(old.revision)
        draft.finish()
        if draft.is_broken:
            (storage / "broken").touch()
        changed = b"".join(os.fsencode(path) + b"\0" for path in sorted(draft.touched))
        seed = f"{old.root_hash} {time.time_ns()} ".encode() + changed
        new = Manifest(old.revision + 1, hashlib.sha1(seed, usedforsecurity=False).hexdigest(), int(time.time()), repository.name)
        record = {
            "revision": new.revision,
            "root_hash": new.root_hash,
            "timestamp": new.timestamp,
            "tag": tag or f"generic-{time.strftime('%Y-%m-%dT%H:%M:%SZ', time.gmtime(new.timestamp))}",
            "message": message,
            "host": repository.site.host,
            **costs(draft),
            "broken": (storage / "broken").exists(),
        }
        (storage / "changes" / str(new.revision)).write_bytes(changed)
        (storage / "revisions" / f"{new.revision}.json").write_text(json.dumps(record))
        _stamp(draft.slot.root, new)
        (draft.slot.place / "manifest").write_text(new.text())
        replace_link(f"trees/{draft.slot.place.name}", storage / "current")
        draft.slot.note(new.revision)
        draft.slot.release()
    return new


def make_repository(site: Site, name: str, upstream: str, settings: Iterable[str]) -> Repository:
    """Make an empty repository, published as revision 1.

    Args:
        site: where.
        name: of the repository.
        upstream: `local`, or `gw` for one that is published through a gateway.
        settings: lines of its server.conf.
    """
    repository = Repository(site, name)
    storage = repository.storage
    if storage.exists():
        raise CommandError(f"The repository {name} already exists")
    repository.config.parent.mkdir(parents=True, exist_ok=True)
    lines = [
        "CVMFS_USER=root",
        f"CVMFS_STRATUM0=file://{storage}",
        f'CVMFS_UPSTREAM_STORAGE="{upstream},/srv/cvmfs/{name}/data/txn,{storage}"',
        *settings,
    ]
    repository.config.write_text("".join(f"{line}\n" for line in lines))
    root = storage / "trees/0/root"
    for place in (root, storage / "changes", storage / "revisions"):
        place.mkdir(parents=True)
    os.chown(root, *repository.owner)
    first = Manifest(1, hashlib.sha1(name.encode(), usedforsecurity=False).hexdigest(), int(time.time()), name)
    _stamp(str(root), first)
    (root.parent / "manifest").write_text(first.text())
    (root.parent / "revision").write_text("1")
    (storage / ".cvmfspublished").symlink_to("current/manifest")
    replace_link("trees/0", storage / "current")
    repository.make_spool()
    (site.root / "client" / name).symlink_to(storage / "current/root")
    return repository


def records(repository: Repository) -> list[dict[str, Any]]:
    """Return what is known of each revision after the first, oldest first."""
    numbers = range(2, manifest(repository).revision + 1)
    return [json.loads((repository.storage / "revisions" / f"{number}.json").read_text()) for number in numbers]


def tags(repository: Repository) -> list[dict[str, Any]]:
    """Return the named revisions, oldest first; `trunk` is the newest."""
    newest = manifest(repository)
    added = [json.loads(line) for line in _added(repository)]
    trunk = {"tag": "trunk", "revision": newest.revision, "root_hash": newest.root_hash, "timestamp": newest.timestamp, "message": ""}
    return [*records(repository), *added, trunk]


def add_tag(repository: Repository, name: str, message: str, root_hash: str = "") -> None:
    """Name the newest revision, or the one of a root hash."""
    found = next((known for known in reversed(tags(repository)) if not root_hash or known["root_hash"] == root_hash), None)
    if found is None:
        raise CommandError(f"no revision has the root hash {root_hash}")
    tag = {"tag": name, **{key: found[key] for key in ("revision", "root_hash", "timestamp")}, "message": message}
    with (repository.storage / "tags").open("a") as file:
        file.write(json.dumps(tag) + "\n")


def roll_back(repository: Repository, name: str) -> Manifest:
    """Publish an older revision once more. Only the one before the newest is still there."""
    wanted = [tag["revision"] for tag in tags(repository) if tag["tag"] == name]
    if not wanted:
        raise CommandError(f"tag {name} does not exist")
    draft = open_old_draft(repository, wanted[-1], "")
    if draft is None:
        raise CommandError(f"the stand-in no longer holds revision {wanted[-1]}")
    return commit(draft, message=f"rolled back to {name}")


def _added(repository: Repository) -> list[str]:
    place = repository.storage / "tags"
    return place.read_text().splitlines() if place.exists() else []


def _stamp(root: str, state: Manifest) -> None:
    """Set the extended attributes that a real mount makes up."""
    os.setxattr(root, "user.revision", str(state.revision).encode())
    os.setxattr(root, "user.root_hash", state.root_hash.encode())


@contextmanager
def _undisturbed() -> Iterator[None]:
    """Put off SIGTERM until the body is done: what is published is reported as published."""
    before = signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGTERM})
    try:
        yield
    finally:
        signal.pthread_sigmask(signal.SIG_SETMASK, before)
