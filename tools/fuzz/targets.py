"""What is fuzzed: each target reads an input as a store or a source would be read, and says what must hold whatever the input is.

A target raises nothing for an input that cstore refuses as it should, with an error of its own. `AssertionError`, and whatever else
comes out, is a finding.
"""

from __future__ import annotations

import io
import re
from contextlib import suppress
from pathlib import Path
from typing import TYPE_CHECKING

from cstore.errors import FormatError, StoreError
from cstore.index import lock
from cstore.index.gojson import decode, encode, rewrite
from cstore.index.index import Index
from cstore.model.about import About
from cstore.model.digest import Digest
from cstore.model.image import ImageRecord
from cstore.model.layer import LayerRecord
from cstore.model.layout import big_data_file, parse_link
from cstore.model.manifest import Config, Descriptor, ImageIndex, Manifest
from cstore.model.offer import ALL_OFFERS
from cstore.model.platform import Platform
from cstore.model.reference import Reference
from cstore.model.timestamp import Timestamp
from cstore.source import oci
from cstore.sync.expansion import expand
from cstore.sync.lint import covers, lint
from cstore.sync.wishlist import WishlistError, parse_wishlist
from tools.fuzz.memory import documents
from tools.fuzz.places import archive, journal, store
from tools.fuzz.tars import blob, layer, tar_split

if TYPE_CHECKING:
    from collections.abc import Callable

    from cstore.model.remote import RemoteName
    from cstore.sync.wishlist import Remark, Wishlist

__all__ = ["TARGETS"]

_AMD64 = Platform("linux", "amd64")
_TAGS = ("latest", "1.2.3", "v1.10", "21.2.100-20191127", "1.0-rc.1", "22.04", "a_b", "7")


def index(data: bytes, _scratch: Path) -> None:
    """Index: an index of any writer; and what is in the own form is the same whether a lock vouches for it or not."""
    try:
        found = Index.read("images", data)
    except FormatError:
        return
    values = [value for _, value in found.all()]
    identities = [value["id"] for value in values]
    for identity, value in zip(identities, values, strict=True):
        assert decode(found.raw(identity) or b"", "") == value
        assert value in list(found.mentioning(identity))
    if identities:
        rest = found.edited({identities[0]: None})
        assert [rest.raw(identity) for identity in identities[1:]] == [found.raw(identity) for identity in identities[1:]]
        assert rest.raw(identities[0]) is None
        assert rest.is_own or not found.is_own
    if found.is_own:
        trusted = Index.read("images", data, lock.announcement(data, own=True))
        assert [trusted.raw(identity) for identity in identities] == [found.raw(identity) for identity in identities]
        assert [value for _, value in trusted.all()] == values
        texts = [name for value in values if isinstance(value.get("names"), list) for name in value["names"] if isinstance(name, str)]
        for text in [*identities, *texts]:
            # What only spells like the text, as in the name of a member, may be found besides.
            assert [value for value in values if value in list(trusted.mentioning(text))] == list(trusted.mentioning(text))
            assert all(value in list(trusted.mentioning(text)) for value in found.mentioning(text))


def claimed_index(data: bytes, _scratch: Path) -> None:
    """Index: one whose lock says that it is in the own form, whatever it is: anybody can write such a lock."""
    try:
        found = Index.read("layers", data, lock.announcement(data, own=True))
    except FormatError:
        return
    for identity in ("1" * 64, "a", "", '"', "\\", "\ud800"):
        for look in (found.raw, found.get, lambda text: list(found.mentioning(text)), lambda text: found.edited({text: None}).data):
            with suppress(FormatError):
                look(identity)
    with suppress(FormatError):
        for at, value in found.all():
            LayerRecord.from_dict(value, at)


def records(data: bytes, _scratch: Path) -> None:
    """Models: a record that is read and written again is the same record, and what is unknown in it stays."""
    try:
        value = decode(data, "records[0]")
    except FormatError:
        return
    for kind in (ImageRecord, LayerRecord, About):
        try:
            record = kind.from_dict(value, "records[0]")
            written = encode(record.to_dict())
        except FormatError:
            continue
        assert kind.from_dict(decode(written, "again"), "again") == record
        assert isinstance(value, dict)
        with suppress(FormatError):
            assert decode(rewrite(data, record.to_dict(), {**record.to_dict(), "id": "x"}), "") is not None


def manifests(data: bytes, _scratch: Path) -> None:
    """Models: manifests, image indexes and configs."""
    try:
        value = decode(data, "manifest")
    except FormatError:
        return
    for kind in (Manifest, ImageIndex, Config, Descriptor):
        with suppress(StoreError):
            made = kind.from_dict(value, "manifest")
            assert made == kind.from_dict(value, "manifest")
            if isinstance(made, ImageIndex):
                assert made.choose(_AMD64) in made.manifests
            if isinstance(made, Config):
                assert len(made.layer_times) == len(made.diff_ids)


def names(data: bytes, _scratch: Path) -> None:
    """Models: names of images, platforms, digests, times, links, keys of big data."""
    text = data.decode("utf-8", "replace")
    with suppress(FormatError):
        reference = Reference.parse(text)
        assert Reference.parse(str(reference)) == reference
        assert str(reference).isprintable()
    with suppress(FormatError):
        assert Digest.parse(text).hex in text
    with suppress(FormatError):
        assert len(Timestamp.parse(text).moment) == 2
    with suppress(FormatError):
        assert str(Platform.parse(text)) == text
    with suppress(FormatError):
        assert "/" not in parse_link(text)
    with suppress(FormatError):
        assert Path("/a", big_data_file(text)).parent == Path("/a")


def layout(data: bytes, _scratch: Path) -> None:
    """Source: an OCI layout, from `oci-layout` to config."""
    with suppress(StoreError):
        image = oci._image(documents(data), "oci:/x", Path("/x"), "", _AMD64)  # noqa: SLF001 - below it only the files differ
        assert len(image.chain) == len(image.manifest.layers) == len(image.config.diff_ids)
        assert all(len(layer) == 64 for layer in image.chain)
        with suppress(StoreError):
            assert len(image.id) == 64
        for descriptor in image.manifest.layers:
            with suppress(StoreError), image.open_blob(descriptor) as file:
                assert isinstance(file, io.BytesIO)


class _Tags:
    """A registry that has the same tags everywhere."""

    def tags(self, _name: RemoteName) -> tuple[str, ...]:
        return _TAGS


def wishlist(data: bytes, _scratch: Path) -> None:
    """Sync: a wishlist, as anybody may propose one; all that is wrong with it has its place, and what it wants is single images."""
    found: Wishlist | None
    told: tuple[Remark, ...] = ()
    try:
        found = parse_wishlist(data, "w")
    except WishlistError as error:
        found, told = None, error.problems
    if found is None:
        assert all(re.match("w:[0-9]+:[0-9]+: expected ", str(problem)) and str(problem).isprintable() for problem in told)
        return
    assert parse_wishlist(data, "w") == found
    wanted = expand([found], _Tags(), platform=_AMD64, offers=ALL_OFFERS)
    assert not any("*" in image.name.public for image in wanted.wanted)
    assert all(wanted.protects(wish.name.tagged("zz").public) or not wish.takes("zz") for wish in wanted.unmatched)
    assert len({finding.place for finding in lint([found])}) <= len(found.wishes) + len(found.remarks)
    assert all(covers(wish, wish) for wish in found.wishes)


TARGETS: dict[str, Callable[[bytes, Path], None]] = {
    "index": index,
    "claimed_index": claimed_index,
    "records": records,
    "manifests": manifests,
    "names": names,
    "layout": layout,
    "archive": archive,
    "layer": layer,
    "blob": blob,
    "tar_split": tar_split,
    "store": store,
    "journal": journal,
    "wishlist": wishlist,
}
"""Each target by its name."""
