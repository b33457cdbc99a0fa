"""Links, and the files that list the layers below, as they have to be (spec O2 to O5)."""

from __future__ import annotations

from typing import TYPE_CHECKING

from attrs import define, field

from cstore.delta import PutSymlink, Remove, file_of
from cstore.files import Directory, UnreadableError
from cstore.model.chain import LayerID, is_id
from cstore.model.layout import link_candidates

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping

    from cstore.delta import Step
    from cstore.verification.overlay import Overlay
    from cstore.verification.survey import Survey

__all__ = ["Links"]

_LONGEST = 1 << 20


@define
class Links:
    """Makes the steps that put right what lies beside `diff`. A link that can be used stays: readers' own stores know it."""

    _survey: Survey
    _overlay: Overlay
    _layout_of: Mapping[str, str]
    """Where the directory of each layer is that has one."""
    _can_do: Callable[[Step], bool] = lambda _step: True
    """Whether a step can be carried out: a link is not made anew where only half of it could be."""
    chosen: dict[str, str] = field(factory=dict)
    """The link that each layer is to have, once the steps were made."""

    def steps(self) -> Iterator[Step]:
        """Yield the steps."""
        self._choose()
        for layer, link in self.chosen.items():
            if self._survey.links.get(layer) != link:
                yield file_of(f"{self._layout_of[layer]}/link", link.encode())
        links = self._overlay.room("overlay/l")
        for layer, link in self.chosen.items():
            if links is None or links.target(link) != f"../{layer}/diff":
                yield PutSymlink(path=f"overlay/l/{link}", target=f"../{layer}/diff")
        for layer, path in self._layout_of.items():
            below = self._survey.below(layer)
            if below is None or not set(below) <= self.chosen.keys():
                continue
            with self._overlay.layer(layer) as made:
                if isinstance(made, Directory):
                    yield from _list(made, path, "lower", ":".join(f"l/{self.chosen[lower]}" for lower in below))
                    yield from _list(made, path, "lower-layers", ":".join(below))

    def _choose(self) -> None:
        """Choose a link for each layer: its own, or one that leads to it already, or a new one."""
        room = self._overlay.room("overlay/l")
        leading: dict[str, str] = {}
        for name in room.entries() if room is not None else ():
            target = (room.target(name) if room is not None else None) or ""
            layer = target.removeprefix("../").removesuffix("/diff")
            if target == f"../{layer}/diff":
                leading.setdefault(layer, name)
        taken: dict[str, str] = {}
        for layer, link in self._survey.links.items():
            if layer in self._layout_of and (link not in taken or leading.get(layer) == link):
                taken[link] = layer
        self.chosen = {layer: link for link, layer in taken.items()}
        for layer, path in self._layout_of.items():
            if layer not in self.chosen:
                can_be_made = is_id(layer) and self._can_do(file_of(f"{path}/link", b"")) and self._can_do(Remove(path="overlay/l/new"))
                wanted = [*([leading[layer]] if layer in leading else []), *(link_candidates(LayerID(layer)) if can_be_made else [])]
                for free in [link for link in wanted if link not in taken][:1]:
                    taken[free] = layer
                    self.chosen[layer] = free


def _list(made: Directory, path: str, name: str, wanted: str) -> Iterator[Step]:
    """Yield the step that makes a file hold a list; an empty list is no file."""
    found: bytes | None = None
    if made.status(name) is not None:
        try:
            found = made.read(name, _LONGEST)
        except UnreadableError:
            found = b""
    if not wanted and found is not None:
        yield Remove(path=f"{path}/{name}")
    elif wanted and found != wanted.encode():
        yield file_of(f"{path}/{name}", wanted.encode())
