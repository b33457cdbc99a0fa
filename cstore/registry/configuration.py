"""Where names are asked for, from containers-registries.conf(5), version 2 (spec Q1, Q2)."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Self

from attrs import frozen

from cstore.errors import SourceError
from cstore.registry.conf_files import read_rules
from cstore.registry.endpoint import Endpoint

if TYPE_CHECKING:
    from collections.abc import Mapping

    from cstore.model.remote import RemoteName
    from cstore.registry.rule import Rule

__all__ = ["Configuration"]

_CONF = "registries.conf"
_SYSTEM = Path("/etc/containers")
_CERTIFICATES = "certs.d"


@frozen
class Configuration:
    """What this machine says of registries."""

    rules: tuple[Rule, ...] = ()
    certificates: tuple[Path, ...] = ()
    """Directories of certificates; the first that knows a registry counts."""

    @classmethod
    def usual(cls, environment: Mapping[str, str], home: Path) -> Self:
        """Return what the files in their usual places say.

        Args:
            environment: CONTAINERS_REGISTRIES_CONF names another registries.conf.
            home: the user's directory, whose registries.conf counts in place of the machine's.

        Raises:
            SourceError: a file cannot be read.
            FormatError: a file is malformed, or of version 1.
        """
        own = home / ".config/containers"
        named = environment.get("CONTAINERS_REGISTRIES_CONF", "")
        main = Path(named) if named else next((place for place in (own / _CONF, _SYSTEM / _CONF) if place.exists()), None)
        rules = read_rules(main, (_SYSTEM / f"{_CONF}.d", own / f"{_CONF}.d"), must_exist=bool(named))
        return cls(rules, (own / _CERTIFICATES, _SYSTEM / _CERTIFICATES, Path("/etc/docker") / _CERTIFICATES))

    def endpoints(self, name: RemoteName) -> tuple[Endpoint, ...]:
        """Return where a name is asked for, in order: mirrors first, its own registry last.

        Raises:
            SourceError: names like this are blocked.
        """
        reference = name.reference
        repository = reference.repository
        identified = f"{repository}@{name.digest}" if name.digest else f"{repository}:{name.tag}"
        fitting = [rule for rule in self.rules if rule.matched(repository, identified)]
        if not fitting:
            return (Endpoint(reference.domain, reference.path),)
        rule = max(fitting, key=lambda rule: len(rule.prefix))
        if rule.is_blocked:
            raise SourceError(f"{name}: expected a registry that may be asked, found {rule.prefix} blocked in registries.conf")
        return rule.endpoints(repository, identified, by_digest=name.digest is not None)
