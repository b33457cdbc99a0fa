"""Calls that are made to fail, for the tests of a caller, and a log of all calls."""

from __future__ import annotations

import json
import os
import re
import signal
from typing import TYPE_CHECKING

from attrs import frozen

from tools.cvmfs_standin.site import CommandError, locked

if TYPE_CHECKING:
    from collections.abc import Sequence

    from tools.cvmfs_standin.site import Site

__all__ = ["Injection", "injection"]

_PLAN = re.compile(r"(\w+|\*):(\d+|\*):(before|during|after|kill)")


@frozen
class Injection:
    """At which point this call fails: `before`, `during`, `after`, `kill`, or never."""

    point: str = ""

    def reach(self, point: str) -> None:
        """Fail if this is the point. `kill` strikes where `during` does."""
        if point == "during" and self.point == "kill":
            os.kill(os.getpid(), signal.SIGKILL)
        if point == self.point:
            raise CommandError(f"made to fail: {point}")


def injection(site: Site, plan: str, arguments: Sequence[str]) -> Injection:
    """Log the call, and see whether it is the one that shall fail.

    Args:
        site: holds the log, `calls.log`.
        plan: `VERB:N:POINT` for the N-th call of a verb since the log began; `*` is any verb, any number. Several with commas.
        arguments: of the call, the verb first.
    """
    log = site.root / "calls.log"
    site.root.mkdir(parents=True, exist_ok=True)
    with locked(site.root / "calls.lock"):
        with log.open("a") as file:
            file.write(json.dumps([*arguments]) + "\n")
        verbs = [json.loads(line)[0] for line in log.read_text().splitlines()]
    for part in filter(None, plan.split(",")):
        match = _PLAN.fullmatch(part)
        if not match:
            raise CommandError(f"CVMFS_STANDIN_FAIL: expected VERB:N:before|during|after|kill, found {part}")
        verb, number, point = match.groups()
        count = len(verbs) if verb == "*" else verbs.count(verb)
        if verb in ("*", arguments[0]) and number in ("*", str(count)):
            return Injection(point)
    return Injection()
