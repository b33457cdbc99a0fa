"""The images of these tests: an OCI layout with layers by umoci, and between them layers from tars written by hand."""

from __future__ import annotations

import hashlib
import json
import os
import shutil
import stat
from pathlib import Path
from typing import TYPE_CHECKING, Any

from tests.compat.members import IMPLIED, LONG_AGO, OPAQUE, REPEATED, REPLACED, add_gnu_tar, add_tar, topless
from tools.make_images import UmociImage, put_busybox

if TYPE_CHECKING:
    from collections.abc import Mapping

__all__ = [
    "blob_path",
    "digest_of",
    "make_index",
    "make_layers",
    "make_sibling",
    "make_sparse",
    "make_topless",
    "make_umoci_layers",
    "manifest_of",
]

_ARCHITECTURES = {"x86_64": "amd64", "aarch64": "arm64"}


def make_umoci_layers(layout: Path, tag: str) -> UmociImage:
    """Make the image whose layers umoci has written: deletions, and things that become things of another kind."""
    image = UmociImage(layout, tag)
    for change in (_base, _kinds_change, _directories_replaced):
        with image.layer() as tree:
            change(tree)
    return image


def make_layers(below: UmociImage, tag: str) -> UmociImage:
    """Make the image that has all else that layers can do to each other, on top of the one from umoci's layers."""
    image = below.fork(tag)
    for members in (OPAQUE, IMPLIED):
        add_tar(image, members)
    with image.layer() as tree:
        (tree / "opt/opaque/again").write_text("back\n")
        (tree / "srv/twin-1").chmod(0o604)
        (tree / "srv/by-hand-2").unlink()
    add_tar(image, REPLACED)
    add_tar(image, REPEATED)
    add_tar(image, REPEATED)
    add_gnu_tar(image, "posix", ["sparse", "\udcff\udcfe"])
    return image


def make_sibling(image: UmociImage, tag: str) -> UmociImage:
    """Make an image that has all layers of another, and one of its own."""
    sibling = image.fork(tag)
    with sibling.layer() as tree:
        (tree / "etc/sibling").write_text("sibling\n")
        (tree / "etc/passwd").unlink()
    return sibling


def make_topless(layout: Path, tag: str) -> UmociImage:
    """Make an image whose only layer has no entry for the top directory."""
    image = UmociImage(layout, tag)
    busybox = Path(shutil.which("busybox") or "").read_bytes()
    add_tar(image, topless(busybox))
    return image


def make_sparse(below: UmociImage, tag: str) -> UmociImage:
    """Make an image with a sparse file in GNU tar's own format, which umoci writes but cannot unpack."""
    image = below.fork(tag)
    add_gnu_tar(image, "gnu", ["sparse", "\udcff\udcfe"])
    return image


def make_index(layout: Path, tag: str, image: UmociImage) -> str:
    """Tag an image index that holds an image and one for another architecture, and return its digest."""
    index = json.loads((layout / "index.json").read_bytes())
    ours = next(item for item in index["manifests"] if item["annotations"]["org.opencontainers.image.ref.name"] == image.tag)
    here = _ARCHITECTURES[os.uname().machine]
    config = json.loads(blob_path(layout, manifest_of(layout, image.tag)["config"]["digest"]).read_bytes())
    config["architecture"] = "s390x"
    manifest = manifest_of(layout, image.tag)
    manifest["config"] |= _put_blob(layout, config)
    theirs = {"mediaType": ours["mediaType"], **_put_blob(layout, manifest), "platform": {"os": "linux", "architecture": "s390x"}}
    ours = {key: ours[key] for key in ("mediaType", "digest", "size")} | {"platform": {"os": "linux", "architecture": here}}
    media_type = "application/vnd.oci.image.index.v1+json"
    placed = _put_blob(layout, {"schemaVersion": 2, "mediaType": media_type, "manifests": [theirs, ours]})
    index["manifests"].append({"mediaType": media_type, **placed, "annotations": {"org.opencontainers.image.ref.name": tag}})
    (layout / "index.json").write_text(json.dumps(index))
    return str(placed["digest"])


def manifest_of(layout: Path, tag: str) -> dict[str, Any]:
    """Return the manifest of an image in a layout."""
    manifest = json.loads(blob_path(layout, digest_of(layout, tag)).read_bytes())
    return dict(manifest)


def digest_of(layout: Path, tag: str) -> str:
    """Return the digest of what a tag names in a layout."""
    index = json.loads((layout / "index.json").read_bytes())
    (digest,) = {item["digest"] for item in index["manifests"] if item["annotations"]["org.opencontainers.image.ref.name"] == tag}
    return str(digest)


def blob_path(layout: Path, digest: str) -> Path:
    """Return the file of a blob."""
    return layout / "blobs" / digest.replace(":", "/")


def _put_blob(layout: Path, value: Mapping[str, object]) -> dict[str, object]:
    data = json.dumps(value).encode()
    digest = "sha256:" + hashlib.sha256(data).hexdigest()
    blob_path(layout, digest).write_bytes(data)
    return {"digest": digest, "size": len(data)}


def _put(tree: Path, files: Mapping[str, str]) -> None:
    for name, text in files.items():
        (tree / name).parent.mkdir(parents=True, exist_ok=True)
        (tree / name).write_text(text)


def _base(tree: Path) -> None:
    put_busybox(tree)
    _put(
        tree,
        {
            "etc/dir-to-file/inside": "1\n",
            "etc/dir-to-link/inside": "2\n",
            "etc/file-to-dir": "3\n",
            "root/secret": "0\n",
            "etc/removed": "4\n",
            "etc/replaced/old": "5\n",
            "etc/replaced/sub/old": "6\n",
            "etc/by-hand/old": "7\n",
            "etc/by-hand/sub/old": "8\n",
            "home/user/private": "9\n",
            "opt/opaque/old": "10\n",
            "opt/opaque/sub/old": "11\n",
            "opt/deep/a/b/old": "12\n",
            "opt/deep/a/kept": "13\n",
            "srv/setuid": "14\n",
            "srv/setgid": "15\n",
            "srv/twin-1": "16\n",
            "var/gone/with/all": "17\n",
        },
    )
    (tree / "etc/link-to-dir").symlink_to("replaced")
    (tree / "etc/dangling").symlink_to("/no/such/file")
    (tree / "srv/twin-2").hardlink_to(tree / "srv/twin-1")
    (tree / "home/user").chmod(0o750)
    for name in ("home/user", "home/user/private"):
        os.chown(tree / name, 1000, 1000)
    os.chown(tree / "etc/dangling", 1000, 2000, follow_symlinks=False)
    os.chown(tree / "srv/setgid", 0, 3000)
    (tree / "srv/setuid").chmod(0o4755)
    (tree / "srv/setgid").chmod(0o2755)
    os.mkfifo(tree / "srv/fifo", 0o640)
    os.mknod(tree / "dev/null", 0o666 | stat.S_IFCHR, os.makedev(1, 3))
    for path in (tree / "opt/deep/a/kept", tree / "srv/setuid", tree / "etc"):
        os.utime(path, (LONG_AGO, LONG_AGO))


def _kinds_change(tree: Path) -> None:
    for name in ("var/gone", "etc/dir-to-link"):
        shutil.rmtree(tree / name)
    for name in ("etc/removed", "etc/file-to-dir", "etc/link-to-dir"):
        (tree / name).unlink()
    _put(tree, {"etc/file-to-dir/inside": "a directory\n", "etc/link-to-dir/inside": "its own\n"})


def _directories_replaced(tree: Path) -> None:
    (tree / "etc/dir-to-link").symlink_to("file-to-dir")
    shutil.rmtree(tree / "etc/replaced")
    _put(tree, {"etc/replaced/new": "new\n", "etc/replaced/sub/new": "new\n"})
    (tree / "etc/replaced").chmod(0o711)
    os.chown(tree / "etc/replaced/sub", 7, 8)
