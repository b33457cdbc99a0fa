"""Problems: statements of the spec that do not hold in a store, with how far each of them reaches."""

from __future__ import annotations

from enum import Enum

from attrs import field, frozen

__all__ = ["Break", "Problem", "Reach", "Rule", "printable"]


class Reach(Enum):
    """How far a problem reaches, the farthest first."""

    STORE = "store"
    """Every command of every reader fails."""
    IMAGE = "image"
    """An image cannot be run, is not what it says, or is pulled again."""
    FEATURE = "feature"
    """Something else does not work: save, push, build, digests, reuse on pull, mapped owners, rootless readers, running services."""
    NOTE = "note"
    """Nothing fails for readers."""

    @property
    def rank(self) -> int:
        """0 for the farthest reach; it grows as the reach shrinks."""
        return [*Reach].index(self)


@frozen
class Break:
    """Commands that fail, or do not what they should, with some versions of podman."""

    versions: tuple[str, ...]
    """Of `4`, `5` and `6`."""
    commands: tuple[str, ...]
    """Of `images`, `run`, `save` (and push), `build`, `pull`, `digest` (run by digest), `uidmap`, `rootless` and `service`."""

    def __str__(self) -> str:
        return f"{', '.join(self.commands)} (podman {', '.join(self.versions)})"


@frozen
class Rule:
    """What must hold in a store."""

    code: str
    """The number of the statement in the spec."""
    reach: Reach
    title: str
    """What must hold, in a few words."""
    breaks: tuple[Break, ...] = ()
    """What does not work where it does not hold."""

    def broken_in(self, version: str) -> frozenset[str]:
        """Return the commands that fail with a version of podman: `4`, `5` or `6`."""
        return frozenset(command for part in self.breaks if version in part.versions for command in part.commands)


def printable(text: str) -> str:
    """Return a text in which whatever a terminal or a report could stumble over is escaped: what was found in a store may be anything."""
    if text.isprintable():
        return text
    return "".join(sign if sign.isprintable() else sign.encode("unicode_escape", "surrogatepass").decode() for sign in text)


@frozen(kw_only=True)
class Problem:
    """A statement of the spec that does not hold."""

    rule: Rule
    subject: str = field(converter=printable)
    """What it is about: `store`, `image ID`, `layer ID`, or a path for what belongs to neither."""
    path: str = field(converter=printable)
    """Where in the store it is, relative to it; empty for the store itself."""
    said: str = field(converter=printable)
    """What was expected there and what was found."""

    @property
    def code(self) -> str:
        """The number of the statement in the spec."""
        return self.rule.code

    @property
    def reach(self) -> Reach:
        """How far it reaches."""
        return self.rule.reach

    def to_dict(self) -> dict[str, object]:
        """Return it for JSON."""
        return {
            "code": self.code,
            "reach": self.reach.value,
            "subject": self.subject,
            "path": self.path,
            "said": self.said,
            "title": self.rule.title,
            "breaks": [{"podman": list(part.versions), "commands": list(part.commands)} for part in self.rule.breaks],
        }

    def __str__(self) -> str:
        return f"{self.code} {self.subject}: {self.said}"
