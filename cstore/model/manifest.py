"""What an image says of itself: manifest, image index and config, of OCI and of Docker's schema 2."""

from __future__ import annotations

from typing import Any, Self

from attrs import field, frozen

from cstore.errors import FormatError, SourceError
from cstore.model.digest import Digest, found
from cstore.model.fields import Fields, text
from cstore.model.platform import Platform
from cstore.model.timestamp import Timestamp

__all__ = ["Config", "Descriptor", "ImageIndex", "Manifest"]

OCI_INDEX = "application/vnd.oci.image.index.v1+json"
OCI_MANIFEST = "application/vnd.oci.image.manifest.v1+json"
OCI_CONFIG = "application/vnd.oci.image.config.v1+json"
DOCKER_LIST = "application/vnd.docker.distribution.manifest.list.v2+json"
DOCKER_MANIFEST = "application/vnd.docker.distribution.manifest.v2+json"
DOCKER_CONFIG = "application/vnd.docker.container.image.v1+json"
DOCKER_LAYER = "application/vnd.docker.image.rootfs.diff.tar.gzip"

LARGEST_DOCUMENT = 8 << 20
"""Bytes that a manifest, an image index or a config may have."""

_SCHEMA_1 = ("application/vnd.docker.distribution.manifest.v1+json", "application/vnd.docker.distribution.manifest.v1+prettyjws")
_OCI_LAYER = "application/vnd.oci.image.layer.{}v1.tar"
_LAYERS = frozenset(
    [
        *(f"{_OCI_LAYER.format(kind)}{suffix}" for kind in ("", "nondistributable.") for suffix in ("", "+gzip", "+zstd")),
        *(f"application/vnd.docker.image.rootfs.{kind}diff.tar{suffix}" for kind in ("", "foreign.") for suffix in ("", ".gzip", ".zstd")),
    ]
)


@frozen(kw_only=True)
class Descriptor:
    """A pointer to a blob: its media type, digest and size in bytes (spec M1)."""

    media_type: str
    digest: Digest
    size: int
    platform: Platform | None = None
    annotations: dict[str, str] = field(factory=dict)

    @classmethod
    def from_dict(cls, value: object, at: str = "") -> Self:
        """Read a descriptor from what the JSON decoder gave.

        Raises:
            FormatError: a member has the wrong type or form; it names the member.
        """
        take = Fields(value, at)
        made = cls(
            media_type=take.text_or("mediaType", ""),
            digest=take.digest("digest"),
            size=take.count("size"),
            platform=_platform(take.raw("platform"), take.at("platform")),
            annotations=take.mapping("annotations", text),
        )
        take.unrecognized()
        return made


@frozen(kw_only=True)
class ImageIndex:
    """An image index or Docker manifest list: the same image for several platforms (spec M5)."""

    manifests: tuple[Descriptor, ...]

    @classmethod
    def from_dict(cls, value: object, at: str = "") -> Self:
        """Read an image index from what the JSON decoder gave.

        Raises:
            FormatError: a member has the wrong type or form; it names the member.
        """
        take = Fields(value, at)
        _schema_2(take)
        made = cls(manifests=take.items("manifests", Descriptor.from_dict))
        take.unrecognized()
        return made

    def choose(self, platform: Platform, at: str = "") -> Descriptor:
        """Return the entry that fits the platform best, the first of several equal ones.

        Raises:
            SourceError: there is none; the error lists the platforms that there are.
        """
        ranked = [(platform.rank(item.platform), item) for item in self.manifests if item.platform]
        fitting = [(rank, item) for rank, item in ranked if rank is not None]
        if fitting:
            return min(fitting, key=lambda ranked_item: ranked_item[0])[1]
        there = ", ".join(sorted({str(item.platform) for item in self.manifests if item.platform})) or "none"
        raise SourceError(f"{at}: expected an image for {platform}, found images for: {there}")


@frozen(kw_only=True)
class Manifest:
    """One image for one platform: its config and its layers, base first (spec M2)."""

    media_type: str
    config: Descriptor
    layers: tuple[Descriptor, ...]

    @classmethod
    def from_dict(cls, value: object, at: str = "") -> Self:
        """Read a manifest from what the JSON decoder gave.

        Raises:
            FormatError: a member has the wrong type or form; it names the member.
            SourceError: it is a manifest of schema 1, of an artifact that is no image, or with layers that cannot be read.
        """
        take = Fields(value, at)
        media_type = take.text_or("mediaType", "")
        if media_type in _SCHEMA_1 or take.raw("schemaVersion") == 1:
            raise SourceError(f"{at}: expected a manifest of OCI or of Docker's schema 2, found schema 1, which podman no longer writes")
        _schema_2(take)
        if media_type not in ("", OCI_MANIFEST, DOCKER_MANIFEST):
            raise SourceError(f"{at}: expected the manifest of an image, found media type {found(media_type)}")
        config = Descriptor.from_dict(take.raw("config"), take.at("config"))
        if config.media_type not in (OCI_CONFIG, DOCKER_CONFIG):
            raise SourceError(f"{at}: expected an image, found an artifact with a config of type {found(config.media_type)}")
        made = cls(media_type=media_type or OCI_MANIFEST, config=config, layers=take.items("layers", _layer))
        take.unrecognized()
        return made


@frozen(kw_only=True)
class Config:
    """What a store needs of an image's config (spec M3)."""

    platform: Platform
    created: Timestamp
    diff_ids: tuple[Digest, ...]
    layer_times: tuple[Timestamp | None, ...]
    """When each layer was made, where the history tells; as many as there are diff IDs."""

    @classmethod
    def from_dict(cls, value: object, at: str = "") -> Self:
        """Read a config from what the JSON decoder gave.

        Raises:
            FormatError: a member has the wrong type or form; it names the member.
        """
        take = Fields(value, at)
        rootfs = Fields(take.raw("rootfs"), take.at("rootfs"))
        diff_ids = rootfs.items("diff_ids", Digest.parse)
        history = take.items("history", _made_layer)
        times = tuple(moment for made, moment in history if made)
        created = Timestamp.parse(take.raw("created") or None, take.at("created"))
        for fields in (take, rootfs):
            fields.unrecognized()
        return cls(
            platform=_platform(value, at) or Platform("", ""),
            created=created,
            diff_ids=diff_ids,
            layer_times=times if len(times) == len(diff_ids) else (None,) * len(diff_ids),
        )


def _schema_2(take: Fields) -> None:
    version = take.raw("schemaVersion")
    if version != 2 or isinstance(version, bool):  # noqa: PLR2004 - the version is the rule
        raise FormatError(take.at("schemaVersion"), f"expected 2, found {found(version)}")


def _layer(value: object, at: str) -> Descriptor:
    layer = Descriptor.from_dict(value, at)
    if layer.media_type not in _LAYERS:
        kind = "an encrypted" if "+encrypted" in layer.media_type else "another"
        raise SourceError(f"{at}: expected a layer of tar, gzip or zstd, found {kind} one of type {found(layer.media_type)}")
    return layer


def _platform(value: object, at: str) -> Platform | None:
    if value is None:
        return None
    take = Fields(value, at)
    return Platform(take.text_or("os", ""), take.text_or("architecture", ""), take.text_or("variant", ""))


def _made_layer(value: object, at: str) -> tuple[bool, Timestamp | None]:
    take = Fields(value, at)
    created: Any = take.raw("created")
    return take.raw("empty_layer") is not True, Timestamp.parse(created, take.at("created")) if created else None
