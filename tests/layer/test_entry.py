from __future__ import annotations

import pytest

from cstore.layer.entry import Entry, Kind, shown, whiteout


def test_a_whiteout_is_a_character_device_without_numbers() -> None:
    assert whiteout(b"a/b") == Entry(b"a/b", Kind.CHARACTER, 0, 0, 0, 0)
    assert whiteout(b"a/b").is_whiteout


@pytest.mark.parametrize(
    ("kind", "device"), [(Kind.CHARACTER, (1, 0)), (Kind.CHARACTER, (0, 1)), (Kind.BLOCK, (0, 0)), (Kind.FIFO, (0, 0))]
)
def test_other_devices_are_no_whiteouts(kind: Kind, device: tuple[int, int]) -> None:
    assert not Entry(b"a", kind, 0, 0, 0, 0, device=device).is_whiteout


@pytest.mark.parametrize(
    ("xattrs", "is_opaque"),
    [
        ((), False),
        ((("trusted.overlay.opaque", b"y"),), True),
        ((("user.overlay.opaque", b"y"),), True),
        ((("user.overlay.opaque", b"n"),), False),
        ((("user.fuseoverlayfs.opaque", b"y"),), False),
        ((("user.a", b"y"), ("user.overlay.opaque", b"y")), True),
    ],
)
def test_attributes_that_make_a_directory_opaque(xattrs: tuple[tuple[str, bytes], ...], is_opaque: bool) -> None:  # noqa: FBT001 - a column
    assert Entry(b"a", Kind.DIRECTORY, 0o755, 0, 0, 0, xattrs=xattrs).is_opaque is is_opaque


def test_a_sparse_file_stores_only_its_pieces() -> None:
    assert Entry(b"a", Kind.FILE, 0, 0, 0, 0, size=100).stored == 100
    assert Entry(b"a", Kind.FILE, 0, 0, 0, 0, size=100, pieces=((5, 3), (50, 4))).stored == 7
    assert Entry(b"a", Kind.FILE, 0, 0, 0, 0, size=100, pieces=()).stored == 0


@pytest.mark.parametrize(
    ("name", "text"),
    [(b"a b", '"a b"'), (b"\xff\xe2\x82\xac", '"\\xff€"'), (b"x" * 200, f'"{"x" * 200}"'), (b"x" * 201, f'"{"x" * 200}…"')],
)
def test_names_in_messages(name: bytes, text: str) -> None:
    assert shown(name) == text
