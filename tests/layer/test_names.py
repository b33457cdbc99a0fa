from __future__ import annotations

import re

import pytest

from cstore.errors import ContentError
from cstore.layer.names import Mark, clean, is_reserved, mark, parent

LONGEST = b"/".join([b"p" * 255] * 15) + b"/" + b"q" * 255
"""4,095 bytes."""


@pytest.mark.parametrize(
    ("name", "path"),
    [
        (b"a", b"a"),
        (b"a/b", b"a/b"),
        (b"./a/b", b"a/b"),
        (b"a//b///c", b"a/b/c"),
        (b"a/./b/.", b"a/b"),
        (b"a/", b"a"),
        (b".", b""),
        (b"./", b""),
        (b"/", b""),
        (b"././/.", b""),
        (b"...", b"..."),
        (b"..a/b..", b"..a/b.."),
        (b" \n\t", b" \n\t"),
        (b"\xff\xfe/\x80", b"\xff\xfe/\x80"),
        (b"p" * 255, b"p" * 255),
        (LONGEST, LONGEST),
        (b"./" * 4000 + b"a", b"a"),
    ],
)
def test_names_that_are_paths(name: bytes, path: bytes) -> None:
    assert clean(name, "layer") == path


@pytest.mark.parametrize(
    ("name", "error"),
    [
        (b"", 'layer: expected a relative name, found ""'),
        (b"//", 'layer: expected a relative name, found "//"'),
        (b"/etc/passwd", 'layer: expected a relative name, found "/etc/passwd"'),
        (b"/.", 'layer: expected a relative name, found "/."'),
        (b"..", 'layer: expected a name inside the layer, found ".."'),
        (b"../a", 'layer: expected a name inside the layer, found "../a"'),
        (b"a/../b", 'layer: expected a name inside the layer, found "a/../b"'),
        (b"a/..", 'layer: expected a name inside the layer, found "a/.."'),
        (b"./..", 'layer: expected a name inside the layer, found "./.."'),
        (
            b"p" * 256,
            f'layer: expected a name of up to 4095 bytes, 255 for each part, found "{"p" * 200}…" of 256 bytes',
        ),
        (
            b"a/" + b"p" * 256 + b"/b",
            f'layer: expected a name of up to 4095 bytes, 255 for each part, found "a/{"p" * 198}…" of 260 bytes',
        ),
        (
            b"a/" * 2047 + b"bb",
            f'layer: expected a name of up to 4095 bytes, 255 for each part, found "{"a/" * 100}…" of 4096 bytes',
        ),
    ],
)
def test_names_that_are_no_paths(name: bytes, error: str) -> None:
    with pytest.raises(ContentError, match=f"^{re.escape(error)}$"):
        clean(name, "layer")


def test_the_directory_above() -> None:
    assert parent(b"a/b/c") == b"a/b"
    assert parent(b"a") == b""


@pytest.mark.parametrize(
    ("path", "marked"),
    [
        (b"", None),
        (b"a/b", None),
        (b"a.wh.b", None),
        (b"a/x.wh.", None),
        (b".wha", None),
        (b".wh.a", (Mark.WHITEOUT, b"a")),
        (b"d/.wh.a", (Mark.WHITEOUT, b"d/a")),
        (b"d/.wh...a", (Mark.WHITEOUT, b"d/..a")),
        (b"d/.wh.wh.", (Mark.WHITEOUT, b"d/wh.")),
        (b".wh..wh..opq", (Mark.OPAQUE, b"")),
        (b"d/e/.wh..wh..opq", (Mark.OPAQUE, b"d/e")),
        (b".wh..wh.", (Mark.IGNORED, b".wh..wh.")),
        (b".wh..wh.aufs", (Mark.IGNORED, b".wh..wh.aufs")),
        (b"d/.wh..wh.orph", (Mark.IGNORED, b"d/.wh..wh.orph")),
        (b".wh..wh.plnk/12.34", (Mark.IGNORED, b".wh..wh.plnk/12.34")),
        (b".wh..wh.plnk/.wh.a/b", (Mark.IGNORED, b".wh..wh.plnk/.wh.a/b")),
    ],
)
def test_marks(path: bytes, marked: tuple[Mark, bytes] | None) -> None:
    assert mark(path, "layer") == marked


@pytest.mark.parametrize(
    ("path", "error"),
    [
        (b".wh.", 'layer: expected the whiteout of a name, found ".wh."'),
        (b"d/.wh.", 'layer: expected the whiteout of a name, found "d/.wh."'),
        (b"d/.wh..", 'layer: expected the whiteout of a name, found "d/.wh.."'),
        (b"d/.wh...", 'layer: expected the whiteout of a name, found "d/.wh..."'),
        (b".wh.a/b", 'layer: expected nothing below a whiteout, found ".wh.a/b"'),
        (b"d/.wh.a/.wh.b", 'layer: expected nothing below a whiteout, found "d/.wh.a/.wh.b"'),
    ],
)
def test_marks_of_nothing(path: bytes, error: str) -> None:
    with pytest.raises(ContentError, match=f"^{re.escape(error)}$"):
        mark(path, "layer")


@pytest.mark.parametrize(
    ("path", "is_so"),
    [
        (b".cvmfs", True),
        (b"a/b/.cvmfscatalog", True),
        (b".cvmfsautocatalog", True),
        (b"a/.cvmfsgraft-b", True),
        (b".cvmfs/b", True),
        (b".cvmfsgraft", False),
        (b".cvmfs2", False),
        (b"a.cvmfscatalog", False),
        (b"", False),
    ],
)
def test_names_that_are_cernvm_fs_own(path: bytes, is_so: bool) -> None:  # noqa: FBT001 - a column
    assert is_reserved(path) is is_so
