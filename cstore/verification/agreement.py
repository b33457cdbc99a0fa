"""Rules about what manifest, config and chain of an image say of each other (spec V36 to V39)."""

from __future__ import annotations

from typing import TYPE_CHECKING

from attrs import define, field

from cstore.model.chain import layer_ids
from cstore.model.layout import IMAGES_INDEX, LAYERS_INDEX
from cstore.verification.rules import problem

if TYPE_CHECKING:
    from collections.abc import Iterator

    from cstore.model.manifest import Config, Manifest
    from cstore.verification.problem import Problem
    from cstore.verification.records import Image, Layer
    from cstore.verification.survey import Survey

__all__ = ["Agreement"]


@define
class Agreement:
    """Compares one image after the other; what concerns a layer is told once, whichever images share it.

    One diff can have blobs of several compressions, of which a record names one: so another blob than the manifest's is no mistake.
    """

    _survey: Survey
    _told: set[tuple[str, str]] = field(factory=set)

    def check(self, image: Image, manifest: Manifest | None, config: Config | None) -> Iterator[Problem]:
        """Compare the chain of an image with its manifest and config, as far as they can be read."""
        length = self._survey.length(image)
        if length is None or (manifest is None and config is None):
            return
        counts = {"chain": length}
        if manifest is not None:
            counts["manifest"] = len(manifest.layers)
        if config is not None:
            counts["config"] = len(config.diff_ids)
        if len({*counts.values()}) > 1:
            told = ", ".join(f"{count} in the {place}" for place, count in counts.items())
            yield problem("V36", f"image {image.id}", IMAGES_INDEX, f"expected as many layers everywhere, found {told}")
            return
        records = [self._survey.layers[layer] for layer in self._survey.chain(image) or ()]
        if config is not None:
            yield from self._compare_config(image, records, config)
        if manifest is not None:
            yield from self._compare_manifest(image, records, manifest)

    def _compare_config(self, image: Image, records: list[Layer], config: Config) -> Iterator[Problem]:
        for record, diff_id, identity in zip(records, config.diff_ids, layer_ids(config.diff_ids), strict=True):
            if record.diff_digest and record.diff_digest != str(diff_id):
                yield from self._once("V37", image, record, f"expected the diff ID {diff_id}, found {record.diff_digest}")
            if record.id != identity:
                yield from self._once("V39", image, record, f"expected the ID {identity}, found {record.id}")

    def _compare_manifest(self, image: Image, records: list[Layer], manifest: Manifest) -> Iterator[Problem]:
        for record, blob in zip(records, manifest.layers, strict=True):
            if not record.compressed_digest:
                yield from self._once("V38", image, record, f"expected the digest of a blob such as {blob.digest}, found none")
            elif record.compressed_digest == str(blob.digest) and record.compressed_size != blob.size:
                yield from self._once("V38", image, record, f"expected a blob of {blob.size} bytes, found {record.compressed_size}")

    def _once(self, code: str, image: Image, layer: Layer, said: str) -> Iterator[Problem]:
        if (code, layer.id) not in self._told:
            self._told.add((code, layer.id))
            yield problem(code, f"layer {layer.id}", LAYERS_INDEX, f"{said} (image {image.id})")
