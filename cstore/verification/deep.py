"""The deep check of layers: their trees, their tar-splits, and what the ones say of the others."""

from __future__ import annotations

from typing import IO, TYPE_CHECKING

from attrs import define, field

from cstore.errors import ContentError, FormatError
from cstore.files import Directory, UnreadableError
from cstore.layer.below import NOTHING, Below, look
from cstore.layer.shape import Shape, ShapeBuilder
from cstore.layer.tar import TarReader
from cstore.layer.tarsplit import SplitReader, SplitReading
from cstore.layer.tree import Tree
from cstore.model.layout import TAR_SPLIT
from cstore.verification.catalogs import LayerSize
from cstore.verification.compare import Comparison
from cstore.verification.content import Rebuilt, TooLongError
from cstore.verification.rules import problem
from cstore.verification.tally import Tally
from cstore.verification.tree import Walked, walk

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from cstore.layer.entry import Entry
    from cstore.progress import Progress
    from cstore.verification.overlay import Overlay
    from cstore.verification.problem import Problem
    from cstore.verification.survey import Survey

__all__ = ["Deep"]


@define
class Deep:
    """Checks one layer's content after the other."""

    _survey: Survey
    _overlay: Overlay
    _progress: Progress
    sizes: dict[str, LayerSize] = field(factory=dict)
    """Of the layers that were checked."""

    def check(self, layers: Sequence[str]) -> Iterator[Problem]:
        """Check the content of layers."""
        if not layers:
            return
        advance = self._progress("reading", "layers", len(layers))
        for layer in layers:
            with self._overlay.layer(layer) as made:
                diff = made.inside("diff") if isinstance(made, Directory) else None
                if diff is None and isinstance(made, Directory) and made.found("diff") == "a directory":
                    yield problem("V76", f"layer {layer}", made.place("diff"), "expected a tree that can be read, found one that cannot")
                if diff is not None:
                    try:
                        yield from self._check(layer, diff)
                    finally:
                        diff.close()
            advance(1)

    def _check(self, layer: str, diff: Directory) -> Iterator[Problem]:
        tally = Tally()
        walked = walk(diff, tally)
        self.sizes[layer] = LayerSize(walked.entries, walked.special)
        split = self._split(layer)
        if split is not None:
            with split:
                yield from self._check_split(layer, split, walked)
        yield from tally.problems(layer, diff.path)

    def _split(self, layer: str) -> IO[bytes] | None:
        room = self._overlay.room("overlay-layers")
        if room is None:
            return None
        try:
            return open(room.open(f"{layer}{TAR_SPLIT}"), "rb")  # noqa: PTH123 - a descriptor, which is closed with it
        except UnreadableError:
            return None

    def _check_split(self, layer: str, split: IO[bytes], walked: Walked) -> Iterator[Problem]:
        subject, path = f"layer {layer}", f"overlay-layers/{layer}{TAR_SPLIT}"
        record = self._survey.layers[layer]
        rebuilt = Rebuilt(path, walked, max(record.diff_size, 0))
        reader = SplitReader(split, path, rebuilt.see)
        shape: Shape | None = None
        try:
            try:
                builder = ShapeBuilder(path)
                for entry in TarReader(reader, path):
                    builder.add(entry)
                shape = builder.finish()
            except TooLongError:
                raise
            except ContentError:
                # A tar that cstore would not add; podman may have. It is still compared as a whole.
                shape = None
            reader.drain()
        except FormatError as error:
            yield problem("V72", subject, path, error.said)
            return
        except TooLongError:
            yield problem("V73", subject, path, f"expected a tar of {record.diff_size} bytes, found more")
            return
        if rebuilt.is_whole and (rebuilt.digest, rebuilt.size) != (record.diff_digest, record.diff_size):
            said = f"expected {record.diff_digest} of {record.diff_size} bytes, found {rebuilt.digest} of {rebuilt.size} bytes"
            yield problem("V73", subject, path, said)
        elif shape is not None:
            self._compare(layer, split, shape, walked)

    def _compare(self, layer: str, split: IO[bytes], shape: Shape, walked: Walked) -> None:
        below = self._below(layer, shape, walked)
        tree = Tree(at=layer, shape=shape, below=below or NOTHING, open=lambda: SplitReading(split, layer))
        # podman gives the top directory of a layer a mode of its own, whatever the tar says.
        guessed = {b"", *shape.implied}
        comparison = Comparison(walked, guessed)
        for entry, _ in tree.walk():
            if (entry.path and entry.path in guessed and below is None) or not (entry.path or shape.has_top):
                # How it looks comes from layers below.
                comparison.pass_over(entry.path)
            else:
                comparison.see(entry)
        comparison.see_opaque(shape.opaque, below.names if below else {})
        comparison.finish()

    def _below(self, layer: str, shape: Shape, walked: Walked) -> Below | None:
        """Return what the layers below show of what a layer asks for; None where they cannot be read."""
        wanted, opaque = shape.inherited - {b""}, walked.opaque.union(shape.opaque)
        if not (wanted or opaque) or self._survey.depth(layer) == 0:
            return NOTHING
        lowers = self._survey.below(layer)
        try:
            return None if lowers is None else look((self._members(lower) for lower in lowers), wanted, opaque)
        except (ContentError, FormatError):
            return None

    def _members(self, layer: str) -> Iterator[Entry]:
        split = self._split(layer)
        if split is None:
            raise FormatError(layer, "expected a tar-split, found none")
        with split:
            yield from TarReader(SplitReader(split, layer), layer)
