from __future__ import annotations

import hashlib

import pytest

from cstore.index.lock import LENGTH, announcement, is_own


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
    ("index", "lock", "own"),
    [
        pytest.param(b"[]", announcement(b"[]", own=True), True, id="this index, own form"),
        pytest.param(b"[]", announcement(b"[]", own=False), False, id="this index, another form"),
        pytest.param(b"[ ]", announcement(b"[]", own=True), False, id="another index"),
        pytest.param(b"[]", announcement(b"[]", own=True) + b"\0", False, id="a byte too many"),
        pytest.param(b"[]", announcement(b"[]", own=True)[:-1], False, id="a byte too few"),
        pytest.param(b"[]", bytes(64), False, id="podman's bytes"),
        pytest.param(b"[]", b"", False, id="empty"),
    ],
)
def test_which_lock_announces_an_index_of_the_own_form(index: bytes, lock: bytes, own: bool) -> None:  # noqa: FBT001 - a column
    assert is_own(index, lock) is own
