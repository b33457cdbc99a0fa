"""One rule of registries.conf: for which names it holds, and where they are asked for (spec Q1, Q2)."""

from __future__ import annotations

from attrs import frozen

from cstore.registry.endpoint import Endpoint

__all__ = ["ANY", "Mirror", "Rule"]

ANY = "*."
"""How a prefix begins that is for all hosts below a domain."""


@frozen(kw_only=True)
class Mirror:
    """Another place where images of a rule may be."""

    location: str
    is_insecure: bool = False
    pulls: str = "all"
    """What is asked for there: `all`, `digest-only` or `tag-only`."""


@frozen(kw_only=True)
class Rule:
    """One `[[registry]]`: what holds for names with a prefix."""

    prefix: str
    location: str = ""
    """What stands in the prefix's place when it is asked for; empty for the prefix itself."""
    is_insecure: bool = False
    is_blocked: bool = False
    mirrors: tuple[Mirror, ...] = ()
    mirrors_have_digests_only: bool = False

    def matched(self, repository: str, identified: str) -> str:
        """Return the part of a name that its prefix stands for; empty where the rule does not hold for the name.

        Args:
            repository: a name without tag and digest.
            identified: with the one of the two by which it is asked for.
        """
        if self.prefix.startswith(ANY):
            domain = repository.partition("/")[0]
            hosts = (domain, domain.partition(":")[0])
            return next((host for host in hosts if host.endswith(self.prefix[1:])), "")
        for name in (repository, identified):
            rest = name.removeprefix(self.prefix)
            if name.startswith(self.prefix) and (not rest or rest[0] in "/:@"):
                return self.prefix
        return ""

    def endpoints(self, repository: str, identified: str, *, by_digest: bool) -> tuple[Endpoint, ...]:
        """Return where a name is asked for that the rule holds for, in order: mirrors first, its own registry last."""
        matched = self.matched(repository, identified)
        only = "digest-only" if by_digest else "tag-only"
        mirrors = [mirror for mirror in self.mirrors if mirror.pulls in ("all", only) and (by_digest or not self.mirrors_have_digests_only)]
        home = Mirror(location=self.location, is_insecure=self.is_insecure)
        return tuple(
            Endpoint(*_moved(repository, matched, place.location), is_insecure=place.is_insecure, is_mirror=place is not home)
            for place in (*mirrors, home)
        )


def _moved(repository: str, matched: str, location: str) -> tuple[str, str]:
    """Return registry and repository with a location in the place of what the prefix stands for."""
    moved = location + repository.removeprefix(matched) if location else repository
    registry, _, path = moved.partition("/")
    return registry, path
