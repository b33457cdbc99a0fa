"""Rules about the directories of layers, their links and what lists the layers below (spec V51 to V60, V66, V67, V71, V90)."""

from __future__ import annotations

import os
import re
import stat
from contextlib import contextmanager, suppress
from typing import TYPE_CHECKING

from attrs import define, field

from cstore.errors import FormatError
from cstore.files import Directory, UnreadableError, kind_of
from cstore.model.layout import parse_link
from cstore.verification.rules import problem

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from cstore.origin import Origin
    from cstore.verification.problem import Problem
    from cstore.verification.survey import Survey

__all__ = ["Overlay"]

_LONGEST_LINK = 4096
_LONGEST_LOWER = 1 << 20
_ELSEWHERE = re.compile(r"additionallayer|composefs-data|diff\d+")
_SHOWN = 60
_MOST_LISTED = 1000
"""What is below layers that have more than this below them is not compared: no reader mounts them anyway."""


@define
class Overlay:
    """Checks the directories of layers."""

    _survey: Survey
    _origin: Origin
    _rooms: dict[str, Directory | None] = field(factory=dict)
    _owners: dict[str, str] = field(factory=dict)
    _known: set[str] = field(factory=set)
    """Layers whose link was looked for."""

    def close(self) -> None:
        """Close the directories that were opened."""
        for room in self._rooms.values():
            if room is not None:
                room.close()

    def room(self, path: str) -> Directory | None:
        """Return a directory of the store, kept open; None where there is none."""
        if path not in self._rooms:
            above, _, name = path.rpartition("/")
            outer = self.room(above) if above else self._survey.top
            self._rooms[path] = outer.inside(name) if outer else None
            if (made := self._rooms[path]) is not None:
                self._survey.access.see(made)
        return self._rooms[path]

    @contextmanager
    def layer(self, layer: str) -> Iterator[Directory | str]:
        """Open the directory of a layer while the body runs; a text says what was found where there is none."""
        overlay = self.room("overlay")
        made = overlay.inside(layer) if overlay else None
        if overlay is not None and (made is None or made.is_followed) and overlay.target(layer) == f"../pool/{layer[:2]}/{layer}":
            if made is not None:
                made.close()
            shard = self.room(f"pool/{layer[:2]}")
            made = shard.inside(layer) if shard else None
        if made is None:
            yield self._found(overlay, layer)
            return
        try:
            yield made
        finally:
            made.close()

    def _found(self, overlay: Directory | None, layer: str) -> str:
        target = overlay.target(layer) if overlay else None
        if target is not None:
            return f'a symlink to "{target[:_SHOWN]}"'
        return overlay.found(layer) if overlay else "nothing"

    def check(self, layer: str) -> Iterator[Problem]:
        """Check the directory of a layer, and its link."""
        with self.layer(layer) as made:
            if isinstance(made, str):
                yield problem("V51", f"layer {layer}", f"overlay/{layer}", f"expected a directory, found {made}")
                return
            self._survey.access.see(made)
            names = made.entries()
            self._keep_link(layer, made)
            yield from self._check_link(layer, made, names)
            yield from self._check_lowers(layer, made, names)
            yield from self._check_diff(layer, made, names)
            yield from self._check_rest(layer, made, names)

    def read_link(self, layer: str) -> None:
        """Remember the link of a layer, if it has one that can be used."""
        if layer not in self._known:
            with self.layer(layer) as made:
                self._keep_link(layer, made)

    def _keep_link(self, layer: str, made: Directory | str) -> None:
        if layer in self._known:
            return
        self._known.add(layer)
        if isinstance(made, str):
            return
        with suppress(UnreadableError, UnicodeDecodeError, FormatError):
            self._survey.links[layer] = parse_link(made.read("link", _LONGEST_LINK).decode())

    def _check_link(self, layer: str, made: Directory, names: Mapping[str, bool]) -> Iterator[Problem]:
        subject, path = f"layer {layer}", made.place("link")
        link = self._survey.links.get(layer)
        if link is None:
            found = "something else" if "link" in names and made.found("link") == "a file" else made.found("link")
            yield problem("V52", subject, path, f"expected a file with a link, found {found}")
            return
        self._survey.access.see(made, "link")
        owner = self._owners.setdefault(link, layer)
        if owner != layer:
            yield problem("V54", subject, path, f'expected a link of its own, found "{link}", which is that of layer {owner}')
            return
        links = self.room("overlay/l")
        target = links.target(link) if links else None
        if target != f"../{layer}/diff":
            found = f'"{target[:_SHOWN]}"' if target is not None else links.found(link) if links else "nothing"
            yield problem("V53", subject, f"overlay/l/{link}", f'expected a symlink to "../{layer}/diff", found {found}')

    def _check_lowers(self, layer: str, made: Directory, names: Mapping[str, bool]) -> Iterator[Problem]:
        depth = self._survey.depth(layer)
        if depth is None or depth > _MOST_LISTED:
            return
        below = self._survey.below(layer) or ()
        for lower in below:
            self.read_link(lower)
        links = [self._survey.links.get(lower) for lower in below]
        if None not in links:
            yield from self._check_list("V55", layer, made, "lower", ":".join(f"l/{link}" for link in links))
        if below and "lower-layers" not in names:
            yield problem("V90", f"layer {layer}", made.place("lower-layers"), "expected a file that lists the layers below, found nothing")
        else:
            yield from self._check_list("V56", layer, made, "lower-layers", ":".join(below))

    def _check_list(self, code: str, layer: str, made: Directory, name: str, expected: str) -> Iterator[Problem]:
        if not expected and made.status(name) is None:
            return
        subject, path = f"layer {layer}", made.place(name)
        if not expected:
            yield problem(code, subject, path, "expected nothing beside a base layer, found a list of layers below")
            return
        try:
            found = made.read(name, _LONGEST_LOWER)
        except UnreadableError as error:
            yield problem(code, subject, path, f"expected a file that lists the layers below, found {error}")
            return
        self._survey.access.see(made, name)
        if found != expected.encode("utf-8", "surrogatepass"):
            shown = found[:_SHOWN].decode("utf-8", "backslashreplace")
            yield problem(
                code, subject, path, f'expected "{expected[:_SHOWN]}" ({len(expected)} bytes), found "{shown}" ({len(found)} bytes)'
            )

    def _check_diff(self, layer: str, made: Directory, names: Mapping[str, bool]) -> Iterator[Problem]:
        subject, path = f"layer {layer}", made.place("diff")
        if names.get("diff"):
            return
        target = made.target("diff")
        if target is None:
            yield problem("V57", subject, path, f"expected a directory, found {made.found('diff')}")
            return
        leads_to = self._origin.kind_at(self._origin.inside(made.path), target)
        if leads_to is None:
            if not _leads_to_directory(made):
                yield problem("V57", subject, path, f'expected a symlink to a directory, found one to nothing: "{target[:_SHOWN]}"')
                return
            said = "expected a directory, found a symlink that leads out of the repository that holds the store, where nothing is read"
            yield problem("V60" if target.startswith("/") else "V59", subject, path, f'{said}: "{target[:_SHOWN]}"')
        elif not stat.S_ISDIR(leads_to):
            found = kind_of(leads_to) if leads_to else "nothing"
            yield problem("V57", subject, path, f'expected a symlink to a directory, found one to {found}: "{target[:_SHOWN]}"')
        elif target.startswith("/"):
            yield problem("V60", subject, path, f'expected a directory, found an absolute symlink to one: "{target[:_SHOWN]}"')
        else:
            yield problem("V59", subject, path, f'expected a directory, found a relative symlink to one: "{target[:_SHOWN]}"')

    def _check_rest(self, layer: str, made: Directory, names: Mapping[str, bool]) -> Iterator[Problem]:
        subject = f"layer {layer}"
        if self._survey.depth(layer) == 0 and not names.get("empty"):
            yield problem("V66", subject, made.place("empty"), f"expected an empty directory, found {made.found('empty')}")
        for name in names:
            if _ELSEWHERE.fullmatch(name):
                yield problem("V58", subject, made.place(name), "expected nothing of this name, found something")
            elif name in ("work", "merged"):
                yield problem("V67", subject, made.place(name), "expected nothing of this name, found something")


def _leads_to_directory(made: Directory) -> bool:
    """Whether the symlink `diff` leads to a directory somewhere; nothing in that is looked at."""
    try:
        return stat.S_ISDIR(os.stat("diff", dir_fd=made.file).st_mode)
    except OSError:
        return False
