from __future__ import annotations

import hashlib

import pytest

from cstore.index.lock import LENGTH, Told, announcement, told


@pytest.mark.parametrize("own", [True, False])
def test_a_lock_holds_64_bytes_that_begin_with_the_digest_of_the_index(own: bool) -> None:  # noqa: FBT001 - both cases
    lock = announcement(b"[]", own=own)
    assert len(lock) == LENGTH == 64
    assert lock[:32] == hashlib.sha256(b"[]").digest()


def test_a_lock_changes_with_its_index_and_tells_its_form() -> None:
    locks = {announcement(index, own=own) for index in (b"[]", b"[]\n") for own in (True, False)}
    assert len(locks) == 4
    assert announcement(b"[]", own=True) == announcement(b"[]", own=True)


@pytest.mark.parametrize(
    ("index", "lock", "what"),
    [
        pytest.param(b"[]", announcement(b"[]", own=True), Told.OWN, id="this index, own form"),
        pytest.param(b"[]", announcement(b"[]", own=False), Told.FOREIGN, id="this index, another form"),
        pytest.param(b"[ ]", announcement(b"[]", own=True), Told.STALE, id="another index"),
        pytest.param(b"[ ]", announcement(b"[]", own=False), Told.STALE, id="another index, another form"),
        pytest.param(b"[]", announcement(b"[]", own=True) + b"\0", Told.NOTHING, id="a byte too many"),
        pytest.param(b"[]", announcement(b"[]", own=True)[:-1], Told.NOTHING, id="a byte too few"),
        pytest.param(b"[]", bytes(64), Told.NOTHING, id="podman's bytes"),
        pytest.param(b"[]", hashlib.sha256(b"[]").digest() + bytes(32), Told.NOTHING, id="the index, without the second half"),
        pytest.param(b"[]", b"", Told.NOTHING, id="empty"),
    ],
)
def test_what_a_lock_tells_of_an_index(index: bytes, lock: bytes, what: Told) -> None:
    assert told(index, lock) is what
