from __future__ import annotations

import itertools
from typing import TYPE_CHECKING

import pytest

from cstore.errors import ContentError
from cstore.hub.parts import fetched_part
from cstore.layer import merging
from cstore.layer.entry import Entry, Kind
from cstore.layer.merging import Counts, Merged, Part, Source, merge
from cstore.model.about import About
from cstore.source.fetch import Fetcher
from cstore.store import Store
from tests.images import device, directory, fifo, file, hardlink, opaque, symlink, tar, whiteout
from tests.layer.stacks import image_of

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence

    from tests.images import Member


@pytest.fixture
def parts() -> Iterator[Callable[..., list[Part]]]:
    """Return what makes parts of layers, each given by its members."""
    fetcher = Fetcher()

    def made(*layers: Sequence[Member]) -> list[Part]:
        image = image_of([tar(*members) for members in layers])
        fetcher.fetch(image, Store.new("/nonexistent", About()))
        return [fetched_part(fetcher.layers[layer]) for layer in image.chain]

    yield made
    fetcher.close()


def shown(tree: Merged) -> dict[str, str]:
    """Return what is at each path: a mode and `/`, a content, `-> TEXT`, `= PATH` for a hard link, or a kind."""
    found: dict[str, str] = {}
    for entry, content in tree.walk():
        path = entry.path.decode()
        assert path not in found
        assert not path or path.rpartition("/")[0] in found
        if entry.kind is Kind.HARDLINK:
            assert not found[entry.target.decode()].endswith("/")
        texts = {
            Kind.DIRECTORY: f"{entry.mode:o}/",
            Kind.FILE: b"".join(content).decode(),
            Kind.SYMLINK: f"-> {entry.target.decode()}",
            Kind.HARDLINK: f"= {entry.target.decode()}",
        }
        found[path] = texts.get(entry.kind, entry.kind.value)
    return found


D, F = directory, file
MERGES: dict[str, tuple[list[list[Member]], dict[str, str]]] = {
    "no layer": ([], {"": "555/"}),
    "one layer": ([[D("a", 0o700), F("a/b", b"1")]], {"": "555/", "a": "700/", "a/b": "1"}),
    "a file replaced": ([[F("a", b"1"), F("b", b"1")], [F("a", b"2")]], {"": "555/", "a": "2", "b": "1"}),
    "a file deleted": ([[F("a", b"1"), F("b", b"1")], [whiteout("a")]], {"": "555/", "b": "1"}),
    "a file deleted and made again": ([[F("a", b"1")], [whiteout("a")], [F("a", b"3")]], {"": "555/", "a": "3"}),
    "a directory deleted": ([[D("a"), F("a/b", b"1"), F("c", b"1")], [whiteout("a")]], {"": "555/", "c": "1"}),
    "a directory deleted and made again": (
        [[D("a"), F("a/b", b"1"), D("a/c"), F("a/c/d", b"1")], [whiteout("a")], [D("a", 0o711), D("a/c", 0o700)]],
        {"": "555/", "a": "711/", "a/c": "700/"},
    ),
    "a directory that becomes a file and a directory again": (
        [[D("a"), F("a/b", b"1")], [F("a", b"2")], [D("a"), F("a/c", b"3")]],
        {"": "555/", "a": "755/", "a/c": "3"},
    ),
    "a file that becomes a directory": ([[F("a", b"1")], [D("a"), F("a/b", b"2")]], {"": "555/", "a": "755/", "a/b": "2"}),
    "a symlink that becomes a directory": ([[symlink("a", "b")], [D("a"), F("a/b", b"2")]], {"": "555/", "a": "755/", "a/b": "2"}),
    "a directory that becomes a symlink": ([[D("a"), F("a/b", b"2")], [symlink("a", "b")]], {"": "555/", "a": "-> b"}),
    "an opaque directory": (
        [[D("a", 0o700), F("a/b", b"1"), D("a/c"), F("a/c/d", b"1")], [D("a", 0o711), opaque("a"), D("a/c", 0o750), F("a/e", b"2")]],
        {"": "555/", "a": "711/", "a/c": "750/", "a/e": "2"},
    ),
    "an opaque top": ([[F("a", b"1"), D("b"), F("b/c", b"1")], [opaque(""), F("d", b"2")]], {"": "555/", "d": "2"}),
    "the topmost attributes of a directory": (
        [[D("", 0o700), D("a", 0o700)], [D("a", 0o711)], [D("", 0o1777), F("b")]],
        {"": "1777/", "a": "711/", "b": ""},
    ),
    "a directory that two layers imply": (
        [[D("a", 0o1777)], [F("a/b", b"1")], [F("a/c", b"2")]],
        {"": "555/", "a": "1777/", "a/b": "1", "a/c": "2"},
    ),
    "a directory that is implied over a deleted one": (
        [[D("a", 0o1777)], [whiteout("a")], [F("a/c", b"2")]],
        {"": "555/", "a": "755/", "a/c": "2"},
    ),
    "a directory that is implied over a file": ([[D("a", 0o1777)], [F("a")], [F("a/c", b"2")]], {"": "555/", "a": "755/", "a/c": "2"}),
    "a directory that is implied in an opaque one": (
        [[D("a"), D("a/b", 0o700)], [D("a"), opaque("a")], [F("a/b/c", b"2")]],
        {"": "555/", "a": "755/", "a/b": "755/", "a/b/c": "2"},
    ),
    "a link and its file": ([[F("a", b"1"), hardlink("b", "a")]], {"": "555/", "a": "1", "b": "= a"}),
    "a link whose file is deleted": ([[F("a", b"1"), hardlink("b", "a")], [whiteout("a")]], {"": "555/", "b": "1"}),
    "links whose file is replaced": (
        [[F("a", b"1"), hardlink("b", "a"), hardlink("c", "b"), hardlink("d", "a")], [F("a", b"2")]],
        {"": "555/", "a": "2", "b": "1", "c": "= b", "d": "= b"},
    ),
    "links whose file and first link are hidden": (
        [[D("x"), F("x/a", b"1"), hardlink("x/b", "x/a"), hardlink("c", "x/b"), hardlink("d", "x/b")], [whiteout("x")]],
        {"": "555/", "c": "1", "d": "= c"},
    ),
    "a link to a hidden link": (
        [[F("a", b"1"), hardlink("b", "a"), hardlink("c", "b")], [whiteout("b")]],
        {"": "555/", "a": "1", "c": "= a"},
    ),
    "a link in a directory that comes later than its file": (
        [[F("z", b"1"), D("a"), hardlink("a/b", "z")], [whiteout("z")]],
        {"": "555/", "a": "755/", "a/b": "1"},
    ),
    "a link to a hidden symlink": ([[symlink("a", "x"), hardlink("b", "a")], [whiteout("a")]], {"": "555/", "b": "-> x"}),
    "a file over a linked one": ([[F("a", b"1"), hardlink("b", "a")], [F("b", b"2")]], {"": "555/", "a": "1", "b": "2"}),
    "devices and fifos": (
        [[device("n", 1, 3), fifo("p"), F("q")], [device("q", 0, 0)]],
        {"": "555/", "n": "character device", "p": "fifo"},
    ),
}


@pytest.mark.parametrize(("layers", "expected"), MERGES.values(), ids=MERGES.keys())
def test_layers_are_merged(parts: Callable[..., list[Part]], layers: list[list[Member]], expected: dict[str, str]) -> None:
    tree = merge(parts(*layers), at="image")
    assert shown(tree) == expected
    assert shown(tree) == expected, "a second walk"
    assert tree.counts.entries == len(expected)
    assert tree.counts.size == sum(len(entry_size) for entry_size in (b"".join(content) for _, content in tree.walk()))


def test_directories_come_first_and_then_layer_by_layer(parts: Callable[..., list[Part]]) -> None:
    tree = merge(parts([D("b"), F("b/1"), F("a")], [F("z/2"), F("b/0")]), at="image")
    assert [entry.path for entry, _ in tree.walk()] == [b"", b"b", b"z", b"z/2", b"b/0", b"b/1", b"a"]


def test_what_is_counted_is_what_is_walked(parts: Callable[..., list[Part]]) -> None:
    tree = merge(
        parts(
            [
                F("a", b"123"),
                F("b", b"45"),
                hardlink("c", "b"),
                symlink("v", "$(X)/y"),
                F("d/.cvmfscatalog"),
                fifo("p"),
                D("e"),
                F("e/.cvmfscatalog"),
            ],
            [whiteout("b"), whiteout("e"), symlink("w", "$X"), device("n", 1, 3)],
        ),
        at="image",
    )
    assert tree.counts == Counts(entries=9, size=5, special=2, reserved=("d/.cvmfscatalog",), variables=("v",))
    assert len([*tree.walk()]) == 9
    assert tree.whiteouts == 0


def test_what_is_left_out_takes_its_links_along(parts: Callable[..., list[Part]]) -> None:
    layers = parts([F("a", b"1"), hardlink("b", "a"), F("c", b"2"), hardlink("d", "c"), F("e", b"3"), hardlink("f", "e")], [whiteout("c")])
    tree = merge(layers, at="image", dress=lambda entry: None if entry.path in (b"a", b"c") else entry)
    assert shown(tree) == {"": "555/", "e": "3", "f": "= e"}
    assert (tree.counts.entries, tree.counts.size) == (3, 1)


@pytest.mark.parametrize(
    ("layers", "expected"),
    [
        ([], {"": "555/", "m": "700/", "m/n": "700/"}),
        ([[F("m", b"1")]], {"": "555/", "m": "1"}),
        ([[symlink("m", "x")]], {"": "555/", "m": "-> x"}),
        ([[D("m", 0o711), F("m/n", b"1")]], {"": "555/", "m": "711/", "m/n": "1"}),
        ([[D("m", 0o711)]], {"": "555/", "m": "711/", "m/n": "700/"}),
        ([[D("m", 0o711), D("m/n")], [whiteout("m")]], {"": "555/", "m": "700/", "m/n": "700/"}),
        ([[F("a", b"1"), hardlink("m", "a")], [whiteout("a")]], {"": "555/", "m": "1"}),
    ],
)
def test_directories_that_are_wanted_are_made_where_nothing_is(
    parts: Callable[..., list[Part]], layers: list[list[Member]], expected: dict[str, str]
) -> None:
    wanted = [Entry(path, Kind.DIRECTORY, 0o700, 0, 0, 0) for path in (b"m", b"m/n")]
    tree = merge(parts(*layers), at="image", wanted=wanted)
    assert shown(tree) == expected
    assert tree.counts.entries == len(expected)


def test_each_file_knows_where_it_comes_from(parts: Callable[..., list[Part]]) -> None:
    layers = parts([F("a", b"1"), hardlink("b", "a"), F("c", mode=0o600), symlink("s", "x")], [whiteout("a"), F("d")])

    def dress(entry: Entry) -> Entry:
        return Entry(entry.path, entry.kind, entry.mode | 0o444, 0, 0, entry.mtime, entry.size, entry.target)

    tree = merge(layers, at="image", dress=dress)
    base, top = (part.id for part in layers)
    assert [(entry.path, source) for entry, _, source in tree.traced()] == [
        (b"", None),
        (b"d", Source(top, b"d", is_same=True)),
        (b"b", Source(base, b"a", is_same=True)),
        (b"c", Source(base, b"c", is_same=False)),
        (b"s", Source(base, b"s", is_same=True)),
    ]
    expected = [(entry, b"".join(content)) for entry, content in tree.walk()]
    assert [(entry, b"".join(content)) for entry, content, _ in tree.traced()] == expected
    assert [(entry, b"".join(content)) for entry, content, _ in tree.traced(reads=False)] == [(entry, b"") for entry, _ in expected]


def test_sources_are_told_without_reading_a_blob(parts: Callable[..., list[Part]]) -> None:
    (layer,) = parts([F("a", b"1")])

    def walk() -> Iterator[tuple[Entry, Iterator[bytes]]]:
        raise AssertionError

    tree = merge([Part(id=layer.id, headers=layer.headers, walk=walk)], at="image")
    assert len([*tree.traced(reads=False)]) == 2


def test_an_opaque_directory_that_only_its_attributes_tell() -> None:
    top = Entry(b"", Kind.DIRECTORY, 0o755, 0, 0, 0)
    lower = (top, Entry(b"a", Kind.DIRECTORY, 0o755, 0, 0, 0), Entry(b"a/x", Kind.FILE, 0o644, 0, 0, 0))
    upper = (top, Entry(b"a", Kind.DIRECTORY, 0o700, 0, 0, 0, xattrs=(("user.overlay.opaque", b"y"),)))

    def part(entries: Sequence[Entry]) -> Part:
        return Part(id="", headers=lambda: iter(entries), walk=lambda: ((entry, iter(())) for entry in entries))

    assert shown(merge([part(lower), part(upper)], at="image")) == {"": "755/", "a": "700/"}


def test_the_names_of_an_image_are_bounded(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(merging, "_MOST_BYTES", 5000)

    def part(count: int) -> Part:
        entries = [Entry(b"%04d" % number, Kind.FILE, 0o644, 0, 0, 0) for number in range(count)]
        return Part(id="", headers=lambda: iter(entries), walk=lambda: ((entry, iter(())) for entry in entries))

    assert merge([part(10), part(1240)], at="image").counts.entries == 1241
    with pytest.raises(ContentError) as error:
        merge([part(10), part(1241)], at="image")
    assert str(error.value) == "image: expected names of up to 5000 bytes in all layers, found more"


def test_a_sparse_file_keeps_its_holes() -> None:
    entry = Entry(b"s", Kind.FILE, 0o644, 0, 0, 0, size=1000, pieces=((0, 3), (500, 4)))
    made = Part(id="", headers=lambda: iter([entry]), walk=lambda: iter([(entry, iter([b"abc", b"defg"]))]))
    tree = merge([made], at="image")
    assert (tree.counts.size, tree.counts.holes) == (7, 993)
    assert [b"".join(content) for _, content in itertools.islice(tree.walk(), 1, None)] == [b"abcdefg"]
