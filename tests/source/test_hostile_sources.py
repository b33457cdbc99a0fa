"""Layouts and archives of hostile registries and friends, by the known classes of attacks on what reads them."""

from __future__ import annotations

import json
import os
import stat
from typing import TYPE_CHECKING, Any

import pytest

from cstore.errors import ContentError, FormatError, SourceError, StoreError
from cstore.model.platform import Platform
from cstore.source import open_source
from tests.images import Image, descriptor, file, hardlink, json_of, put_blob, put_image, put_index, symlink, tar, write_layout
from tests.verification.patience import patience

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

AMD64 = Platform("linux", "amd64")
IMAGE = Image(layers=(tar(file("f", b"x")),))
BLOBS = {
    "manifest": IMAGE.digest.removeprefix("sha256:"),
    "config": IMAGE.id,
    "layer": IMAGE.manifest["layers"][0]["digest"].removeprefix("sha256:"),
}
PLANTED: dict[str, tuple[Callable[[Path], object], str]] = {
    "a symlink out": (lambda place: place.symlink_to("/etc/shadow"), "found: Too many levels of symbolic links"),
    "a symlink to an endless device": (lambda place: place.symlink_to("/dev/zero"), "found: Too many levels of symbolic links"),
    "a symlink to a file of the process": (
        lambda place: place.symlink_to("/proc/self/environ"),
        "found: Too many levels of symbolic links",
    ),
    "a fifo": (os.mkfifo, "found something else"),
    "an endless device": (lambda place: os.mknod(place, stat.S_IFCHR | 0o666, os.makedev(1, 5)), "found something else"),
    "a directory": (lambda place: place.mkdir(), "found something else"),
}


def read_all(source: str) -> None:
    """Open a source, and read the blobs of all layers."""
    with patience(20):
        image = open_source(source, AMD64)
        try:
            for layer in image.manifest.layers:
                with image.open_blob(layer) as opened:
                    opened.read(1 << 20)
        finally:
            image.close()


@pytest.mark.parametrize("planted", PLANTED)
@pytest.mark.parametrize("blob", [*BLOBS, "index.json", "oci-layout"])
def test_what_is_planted_is_neither_followed_nor_waited_for(tmp_path: Path, blob: str, planted: str) -> None:
    if planted == "an endless device" and os.geteuid() != 0:
        pytest.skip("only root makes devices")
    source = write_layout(tmp_path / "layout", IMAGE)
    make, said = PLANTED[planted]
    place = tmp_path / "layout" / (f"blobs/sha256/{BLOBS[blob]}" if blob in BLOBS else blob)
    place.unlink()
    make(place)
    with pytest.raises(SourceError) as error:
        read_all(source)
    assert str(error.value) == f"{place}: expected a file, {said}"


@pytest.mark.parametrize("room", ["blobs", "blobs/sha256"])
def test_a_directory_that_leads_out_is_not_entered(tmp_path: Path, room: str) -> None:
    source = write_layout(tmp_path / "layout", IMAGE)
    (tmp_path / "layout" / room).rename(tmp_path / "away")
    (tmp_path / "layout" / room).symlink_to(tmp_path / "away")
    with pytest.raises(SourceError, match=r"expected a file, found: Not a directory$"):
        read_all(source)


def test_a_hard_link_to_a_secret_is_not_the_promised_blob(tmp_path: Path) -> None:
    source = write_layout(tmp_path / "layout", IMAGE)
    (tmp_path / "secret").write_bytes(b"root:secret")
    place = tmp_path / "layout/blobs/sha256" / BLOBS["config"]
    place.unlink()
    place.hardlink_to(tmp_path / "secret")
    with pytest.raises(ContentError) as error:
        read_all(source)
    assert "secret" not in str(error.value).replace(str(tmp_path), "")


@pytest.mark.parametrize(
    "digest",
    [
        "sha256:../../../../etc/passwd",
        "sha256:" + "../" * 21 + "x",
        "../..:" + "0" * 64,
        "sha256:" + "A" * 64,
        "md5:" + "0" * 32,
        "sha256:" + "0" * 63 + "/",
    ],
)
def test_a_digest_is_no_path(tmp_path: Path, digest: str) -> None:
    write_layout(tmp_path / "layout", IMAGE)
    put_index(tmp_path / "layout", [{"mediaType": IMAGE.media_type("manifest"), "digest": digest, "size": 5}])
    with pytest.raises(FormatError, match=r"index\.json\.manifests\[0\]\.digest: expected a digest, found"):
        read_all(f"oci:{tmp_path}/layout")


def twice(key: str, other: str, value: object) -> Callable[[dict[str, Any]], bytes]:
    """Return what writes an object with a member twice, under a name and another one."""
    return lambda whole: json.dumps(whole).replace(f'"{key}":', f'"{other}": {json.dumps(value)}, "{key}":', 1).encode()


DIFFERENT = {
    "two lists of layers": (
        twice("layers", "Layers", []),
        'manifest.Layers: expected the member "layers", found one that differs from it in case',
    ),
    "two configs": (twice("config", "CONFIG", {}), 'manifest.CONFIG: expected the member "config", found one that differs from it in case'),
    "two digests": (twice("digest", "Digest", "sha256:" + "0" * 64), 'Digest: expected the member "digest", found one that differs'),
}


@pytest.mark.parametrize(("change", "said"), DIFFERENT.values(), ids=DIFFERENT)
def test_what_podman_would_read_otherwise_is_refused(tmp_path: Path, change: Callable[[dict[str, Any]], bytes], said: str) -> None:
    write_layout(tmp_path / "layout", IMAGE)
    put_index(tmp_path / "layout", [put_blob(tmp_path / "layout", change(IMAGE.manifest), IMAGE.media_type("manifest"))])
    with pytest.raises(FormatError) as error:
        read_all(f"oci:{tmp_path}/layout")
    assert said in str(error.value)


def test_of_a_member_that_stands_there_twice_the_last_counts_as_for_podman(tmp_path: Path) -> None:
    write_layout(tmp_path / "layout", IMAGE)
    data = twice("layers", "layers", [descriptor(b"other", IMAGE.media_type("gzip"))])(IMAGE.manifest)
    put_index(tmp_path / "layout", [put_blob(tmp_path / "layout", data, IMAGE.media_type("manifest"))])
    image = open_source(f"oci:{tmp_path}/layout", AMD64)
    assert [layer.digest.hex for layer in image.manifest.layers] == [BLOBS["layer"]]
    image.close()


def test_cve_2021_41190_a_manifest_that_is_an_image_index_too_is_what_its_descriptor_says(tmp_path: Path) -> None:
    layout = tmp_path / "layout"
    other = Image(labels={"of": "another"})
    entry = put_image(layout, other, platform={"os": "linux", "architecture": "amd64"})
    put_image(layout, IMAGE)
    both = json_of({**IMAGE.manifest, "manifests": [entry]})
    for media_type, expected in ((IMAGE.media_type("manifest"), IMAGE.id), (IMAGE.media_type("index"), other.id)):
        put_index(layout, [put_blob(layout, both, media_type)])
        image = open_source(f"oci:{layout}", AMD64)
        assert image.id == expected
        image.close()


def test_image_indexes_without_end(tmp_path: Path) -> None:
    layout = tmp_path / "layout"
    found = put_image(layout, IMAGE, platform={"os": "linux", "architecture": "amd64"})
    for _ in range(6):
        data = json_of({"schemaVersion": 2, "manifests": [found]})
        found = put_blob(layout, data, IMAGE.media_type("index"), platform={"os": "linux", "architecture": "amd64"})
    put_index(layout, [found])
    with pytest.raises(SourceError, match="expected a manifest below at most 4 image indexes, found more of them"):
        read_all(f"oci:{layout}")


@pytest.mark.parametrize(
    ("data", "said"),
    [
        pytest.param(b"[" * 200_000, "expected JSON, found 200000 bytes that are none", id="levels without end"),
        pytest.param(b'{"a":' * 100_000, "expected JSON, found 500000 bytes that are none", id="objects in objects"),
        pytest.param(b" " * (8 << 20) + b"{}", "index.json: expected up to 8388608 bytes, found more", id="more than 8 MiB"),
        pytest.param(
            b'{"schemaVersion":2,"manifests":' + b"9" * 5000 + b"}", "expected JSON, found 5032 bytes that are none", id="a long number"
        ),
        pytest.param(b'{"schemaVersion":2e0,"manifests":[]}', "expected one image, found 0", id="no images"),
    ],
)
def test_documents_that_take_all_memory(tmp_path: Path, data: bytes, said: str) -> None:
    write_layout(tmp_path / "layout", IMAGE)
    (tmp_path / "layout/index.json").write_bytes(data)
    with patience(20), pytest.raises(StoreError) as error:
        open_source(f"oci:{tmp_path}/layout", AMD64)
    assert said in str(error.value)


SAVED = {"Config": "c.json", "RepoTags": ["localhost/a:1"], "Layers": ["l.tar"]}
CONFIG = json_of(IMAGE.config)
MEMBERS = {
    "CVE-2014-9358, a config outside": ({**SAVED, "Config": "../../../../etc/passwd"}, ()),
    "CVE-2014-9358, an absolute one": ({**SAVED, "Config": "/etc/passwd"}, ()),
    "a layer outside": ({**SAVED, "Layers": ["../../../../etc/passwd"]}, ()),
    "CVE-2014-9356, a layer that is a symlink out": ({**SAVED, "Layers": ["s"]}, (symlink("s", "/etc/passwd"),)),
    "a layer that is a hard link out": ({**SAVED, "Layers": ["h"]}, (hardlink("h", "/etc/passwd"),)),
    "a layer that is a symlink to itself": ({**SAVED, "Layers": ["s"]}, (symlink("s", "s"),)),
}


@pytest.mark.parametrize(("saved", "more"), MEMBERS.values(), ids=MEMBERS)
def test_a_docker_archive_leads_to_its_members_only(tmp_path: Path, saved: dict[str, Any], more: tuple[Any, ...]) -> None:
    members = (file("manifest.json", json_of([saved])), file("c.json", CONFIG), file("l.tar", IMAGE.layers[0]), *more)
    (tmp_path / "a.tar").write_bytes(tar(*members))
    with pytest.raises(SourceError, match=r'a\.tar: expected a member ".*", found none$'):
        read_all(f"docker-archive:{tmp_path}/a.tar")


def test_a_bomb_in_a_docker_archive_is_bounded(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("cstore.source.docker_archive.unpacked_limit", lambda _packed: 1 << 20)
    bomb = Image(layers=(tar(file("f", bytes(4 << 20))),))
    members = (file("manifest.json", json_of([SAVED])), file("c.json", json_of(bomb.config)), file("l.tar", bomb.blobs[0]))
    (tmp_path / "a.tar").write_bytes(tar(*members))
    with pytest.raises(ContentError, match="expected at most 1048576 bytes unpacked, found more"):
        open_source(f"docker-archive:{tmp_path}/a.tar", AMD64)
