"""Layers at random: small trees whose names meet often, with marks, in any order."""

from __future__ import annotations

from typing import TYPE_CHECKING

from attrs import evolve
from hypothesis import strategies as st

from cstore.layer.entry import Kind
from tests import images
from tests.layer import tars
from tests.layer.stacks import Content, Node

if TYPE_CHECKING:
    import random
    from collections.abc import Sequence

    from tests.images import Member

PARTS = st.sampled_from([b"a", b"b", b"c"])
PATHS = st.lists(PARTS, min_size=1, max_size=4).map(b"/".join)
KINDS = st.sampled_from([Kind.DIRECTORY, Kind.DIRECTORY, Kind.FILE, Kind.SYMLINK, Kind.FIFO])
_TYPES = {Kind.DIRECTORY: b"5", Kind.FILE: b"0", Kind.SYMLINK: b"2", Kind.FIFO: b"6"}


def _above(path: bytes) -> list[bytes]:
    parts = path.split(b"/")
    return [b"/".join(parts[:length]) for length in range(1, len(parts))]


@st.composite
def layers(draw: st.DrawFn) -> tuple[Content, tuple[Member, ...]]:
    """A layer that can be written as a tree, as what it says and as the members of its tar in any order."""
    wanted = draw(st.dictionaries(PATHS, st.tuples(KINDS, st.sampled_from([0o700, 0o755, 0o1777, 0o4711]), st.integers(0, 2)), max_size=6))
    marks = draw(st.lists(st.tuples(st.sampled_from(["whiteout", "opaque", "opaque", "device"]), PATHS | st.just(b"")), max_size=4))
    top = draw(st.none() | st.sampled_from([0o755, 0o1777]))
    return arranged(wanted, marks, top, draw(st.randoms()))


def arranged(
    wanted: dict[bytes, tuple[Kind, int, int]], marks: Sequence[tuple[str, bytes]], top: int | None, order: random.Random
) -> tuple[Content, tuple[Member, ...]]:
    """Make a layer of what was drawn, without what contradicts the rest of it."""
    nodes: dict[bytes, Node] = {}
    directories: set[bytes] = {b""}
    devices: set[bytes] = set()
    for path, (kind, mode, uid) in wanted.items():
        if (path in directories and kind is not Kind.DIRECTORY) or _blocked(path, nodes):
            continue
        directories |= {*_above(path), *([path] if kind is Kind.DIRECTORY else [])}
        nodes[path] = Node(kind, 0o777 if kind is Kind.SYMLINK else mode, uid, uid, path if kind in (Kind.FILE, Kind.SYMLINK) else b"")
    hidden: set[bytes] = set()
    emptied: set[bytes] = set()
    for what, path in marks:
        if _blocked(path, nodes) or any(above in devices for above in [*_above(path), path]):
            continue
        if what == "opaque" and (path not in nodes or nodes[path].kind is Kind.DIRECTORY):
            emptied.add(path)
            directories |= {*_above(path), path}
        elif what == "whiteout" and path:
            hidden.add(path)
            directories |= set(_above(path))
        elif what == "device" and path not in directories and path not in nodes:
            devices.add(path)
            directories |= set(_above(path))
    if top is not None:
        nodes[b""] = Node(Kind.DIRECTORY, top, 1, 1)
    members = [_member(path, node) for path, node in nodes.items()]
    members += [images.whiteout(path.decode()) for path in hidden]
    members += [images.opaque(path.decode()) for path in emptied]
    members += [images.device(path, 0, 0) for path in devices]
    order.shuffle(members)
    return Content(nodes=nodes, whiteouts=frozenset(hidden | devices), devices=frozenset(devices), opaque=frozenset(emptied)), tuple(
        members
    )


@st.composite
def linked_layers(draw: st.DrawFn) -> tuple[Content, tuple[Member, ...]]:
    """A layer with hard links too: beside their files, and elsewhere in it."""
    content, members = draw(layers())
    nodes = dict(content.nodes)
    taken = {
        *content.whiteouts,
        *content.opaque,
        *(above for path in (*nodes, *content.whiteouts, *content.opaque) for above in _above(path)),
    }
    links = []
    files = sorted(path for path, node in nodes.items() if node.kind is not Kind.DIRECTORY)
    for target in files and draw(st.lists(st.sampled_from(files), max_size=3)):
        path = draw(PATHS)
        if path not in taken and path not in nodes and not _blocked(path, nodes) and content.whiteouts.isdisjoint(_above(path)):
            links.append(images.hardlink(path, target))
            taken.update(_above(path))
            files.append(path)
            nodes[path] = nodes[target]
    return evolve(content, nodes=nodes), (*members, *links)


def _blocked(path: bytes, nodes: dict[bytes, Node]) -> bool:
    """Whether something that is no directory is above a path."""
    return any(above in nodes and nodes[above].kind is not Kind.DIRECTORY for above in _above(path))


def _member(path: bytes, node: Node) -> Member:
    is_link = node.kind is Kind.SYMLINK
    return images.Member(
        name=path or b"./",
        kind=_TYPES[node.kind],
        content=b"" if is_link else node.content,
        target=node.content if is_link else b"",
        mode=node.mode,
        uid=node.uid,
        gid=node.gid,
    )


NAMES = st.one_of(
    st.binary(min_size=1, max_size=12).map(lambda name: name.replace(b"\0", b"0")),
    st.sampled_from(
        [b".", b"./", b"/", b"..", b"../x", b"/etc/passwd", b"a/../../x", b"a", b"a/b", b"./a", b"a/b/c", b"x" * 256, b"y/" * 60]
    ),
    st.sampled_from(
        [b".wh.a", b"a/.wh.b", b".wh.", b".wh...", b".wh..wh..opq", b"a/.wh..wh..opq", b".wh.a/b", b".wh..wh.plnk/a", b".wh..wh.aufs"]
    ),
)
"""Names of members that meet often, good ones and bad ones."""

PAX_KEYS = st.sampled_from(
    [
        *(
            b"path",
            b"linkpath",
            b"size",
            b"uid",
            b"gid",
            b"mtime",
            b"comment",
            b"SCHILY.xattr.user.a",
            b"SCHILY.xattr.trusted.overlay.opaque",
        ),
        *(b"GNU.sparse.major", b"GNU.sparse.size", b"GNU.sparse.realsize", b"GNU.sparse.map", b"GNU.sparse.name", b"GNU.sparse.offset"),
    ]
)
PAX_VALUES = st.sampled_from(
    [b"", b"0", b"1", b"y", b"a", b"a/b", b"..", b"-1", b"1.5", b"0,1", b"0,5,10,1", b"99999999999999999999", b"512", b"\xff", b"a\0b"]
)
NUMBER_FIELDS = st.sampled_from([(100, 8), (108, 8), (116, 8), (124, 12), (136, 12), (329, 8), (337, 8), (386, 12), (483, 12)])
"""Offset and width of the fields that hold numbers: mode, owner, group, size, time, device, and in a sparse header offset and size."""
NUMBERS = st.sampled_from(
    [b"\xff" * 12, b"7" * 12, bytes(12), b" " * 12, b"9" * 12, b"-1".ljust(12), b"\x80" + bytes(10) + b"\1", b"\xbf" * 12]
)
TARGETS = st.one_of(NAMES, st.just(b""))


@st.composite
def hostile_members(draw: st.DrawFn) -> bytes:
    """One member that may be anything, with what describes it before it; numbers, sizes and maps may lie."""
    kind = draw(st.sampled_from([bytes([kind]) for kind in b"000112345567S\0DxgLK"]))
    content = draw(st.binary(max_size=600))
    name, target = draw(NAMES), draw(TARGETS)
    described = draw(st.dictionaries(PAX_KEYS, PAX_VALUES, max_size=2))
    made = tars.pax(described) if described else b""
    if draw(st.integers(0, 9)) == 0:
        made += tars.long_name(name * 40)
    magic = draw(st.sampled_from([b"ustar\x0000", tars.GNU, tars.V7]))
    block = images.header(name[:100], len(content), kind=kind, target=target[:100], magic=magic)
    if draw(st.integers(0, 4)) == 0:
        field, width = draw(NUMBER_FIELDS)
        block = tars.patched(block, field, draw(NUMBERS)[:width])
    return made + block + images.padded(content)


HOSTILE_TARS = st.lists(hostile_members(), max_size=5).map(b"".join)
