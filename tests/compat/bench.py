"""A store with a defect, and what podman does with it.

The store is that of `tests.verification.target`, of images that run. It lies in a repository of its own that nobody can write to while
podman reads it, always at the same path. Each command has a podman of its own, so that all can be tried at once.
"""

from __future__ import annotations

import json
import shutil
import subprocess
import time
from contextlib import ExitStack
from typing import TYPE_CHECKING, Any, Self

from attrs import frozen

from cstore.errors import FormatError
from cstore.model.reference import Reference
from cstore.publish.batch import publishing
from cstore.verification.rules import RULES
from cstore.verification.store import verify
from tests.compat.mounts import read_only, unmount_below
from tests.compat.podman import Podman
from tests.compat.programs import LINES
from tests.compat.victims import bystander, image_of, layers
from tests.images import write_layout
from tests.publish.stores import DAY, copy
from tests.verification.target import BYSTANDER, VICTIM, Target

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from pathlib import Path

    from tests.verification.defects import Defect

__all__ = ["COMMANDS", "OTHER", "Bench", "Outcome"]

COMMANDS = ("images", "run", "save", "build")
OTHER = "run the other"
"""Running the image that has nothing to do with the one in which things are broken."""
_LOOK = "cat /etc/base /etc/middle /etc/top /etc/link /implied/y; ls /etc; stat -c %a /etc/top; echo /.wh*"
"""What a container tells of all that defects touch, but for how an implied directory looks and whose files are."""
_ENDLESS = ("V15",)
"""Rules whose defects keep podman busy without end."""
_PATIENCE = 3
_LONGEST = 100

Ended = tuple[int | None, object, str]
"""An exit code, None for what does not end, what was said, and what was said on stderr."""


@frozen
class Outcome:
    """What was seen of a store with a defect."""

    found: tuple[str, ...]
    """The codes of the problems that `verify` finds."""
    seen: Mapping[str, str]
    """By command: `works`, `fails`, `wrong` where podman does not tell that something is wrong, or `hangs`."""
    said: Mapping[str, str]
    """By command, what podman said on stderr where it failed."""

    @property
    def broken(self) -> frozenset[str]:
        """The commands on the image that do not work."""
        return frozenset(command for command in COMMANDS if self.seen[command] != "works")


class Bench:
    """Stores with a defect each, one after the other.

    Args:
        place: an empty directory for all of it.
    """

    def __init__(self, place: Path) -> None:
        self.layout = write_layout(place / "images", {"victim": image_of(*layers()), "bystander": image_of(bystander())})
        self._place = place
        self._sound = place / "sound"
        self._stack = ExitStack()
        self._podmans: dict[str, Podman] = {}
        self._results: dict[str, dict[str, Ended]] = {}
        self.store = place / "repository/store"
        """Where the store with the defect is."""

    def __enter__(self) -> Self:
        with publishing(self._sound, today=DAY) as batch:
            batch.add(f"{self.layout}:victim", name=VICTIM)
            batch.add(f"{self.layout}:bystander", name=BYSTANDER)
        return self

    def __exit__(self, *_error: object) -> None:
        self._stack.close()

    @property
    def sound(self) -> Target:
        """The store without any defect, which stays as it is."""
        return Target(self._sound)

    def prepare(self, defect: Defect | None) -> Target:
        """Put the store at its place with a defect, or without one."""
        if self.store.parent.exists():
            shutil.rmtree(self.store.parent)
        self.store.parent.mkdir()
        copy(self._sound, self.store)
        target = Target(self.store)
        if defect is not None:
            defect.plant(target)
        return target

    def outcome(self, defect: Defect) -> Outcome:
        """Plant a defect, and see what `verify` finds and podman does."""
        sound = self._results.get("sound") or self._results.setdefault("sound", self._try(self.prepare(None), _LONGEST))
        assert {code for code, _, _ in sound.values()} == {0}, sound
        target = self.prepare(defect)
        found = {problem.code for problem in verify(self.store, deep=defect.is_deep)}
        results = self._try(target, _PATIENCE if defect.code in _ENDLESS else _LONGEST)
        expected = {**{command: output for command, (_, output, _) in sound.items()}, "images": _listed(target, sound["images"][1])}
        return Outcome(
            found=tuple(code for code in RULES if code in found),
            seen={command: _judge(code, output, expected[command]) for command, (code, output, _) in results.items()},
            said={command: said for command, (code, _, said) in results.items() if code},
        )

    def podman(self, name: str) -> Podman:
        """Return a podman that reads the store; it must be mounted when one is first asked for."""
        if name not in self._podmans:
            self._podmans[name] = self._stack.enter_context(Podman(self.store))
        return self._podmans[name]

    def forget(self, name: str) -> None:
        """Give a podman an empty graph root again."""
        podman = self._podmans[name]
        end = time.monotonic() + _LONGEST
        while podman.graph.exists():
            try:
                unmount_below(podman.place)
                shutil.rmtree(podman.graph)
            except OSError:
                # What podman leaves to clean up after a container has ended still goes on.
                if time.monotonic() > end:
                    raise
                time.sleep(0.1)
        podman.graph.mkdir(mode=0o700)

    def _try(self, target: Target, patience: float) -> dict[str, Ended]:
        """Return how each command ends."""
        commands = self._commands(target)
        with read_only(self.store.parent, self.store.parent):
            started = [(command, self._start(command, arguments)) for command, arguments in commands.items()]
            end = time.monotonic() + patience
            results = {command: _end(command, process, end) for command, process in started if command != OTHER}
            results |= {command: _end(command, process, end + _LONGEST) for command, process in started if command == OTHER}
        for command, (code, _, _) in results.items():
            # A container of which nothing failed leaves nothing, and neither do `images` and `save`.
            if code != 0 or command == "build":
                self.forget(command)
        return results

    def _commands(self, target: Target) -> dict[str, Sequence[str | Path]]:
        name = _name(target)
        build = self._place / "build"
        build.mkdir(exist_ok=True)
        (build / "Containerfile").write_text(f'FROM {name}\nCOPY Containerfile /added\nRUN ["/bin/busybox", "true"]\n')
        saved = self._place / "saved"
        saved.unlink(missing_ok=True)
        run = ("run", "--rm", "--pull=never")
        commands: dict[str, Sequence[str | Path]] = {
            "images": ("images", "--format=json"),
            "run": (*run, name, "sh", "-c", _LOOK),
            "save": ("save", "--quiet", "--format=oci-archive", "--output", saved, name),
            "build": ("build", "--quiet", "--isolation=chroot", "--pull=never", build),
        }
        if BYSTANDER in _names(target, [BYSTANDER]):
            commands[OTHER] = (*run, BYSTANDER, "cat", "/only")
        return commands

    def _start(self, command: str, arguments: Sequence[str | Path]) -> subprocess.Popen[str]:
        podman = self.podman(command)
        return subprocess.Popen(
            ["podman", *arguments],
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
            env={**LINES, **podman.env},
            cwd=podman.place,
        )


def _end(command: str, process: subprocess.Popen[str], end: float) -> Ended:
    try:
        output, said = process.communicate(timeout=max(end - time.monotonic(), 0))
    except subprocess.TimeoutExpired:
        process.kill()
        process.communicate()
        return None, "", ""
    if command == "images" and process.returncode == 0:
        return 0, sorted((image["Id"], tuple(image.get("Names") or ())) for image in json.loads(output)), said
    return process.returncode, "" if command == "build" else output, said


def _judge(code: int | None, output: object, expected: object) -> str:
    if code is None:
        return "hangs"
    if code:
        return "fails"
    return "works" if output == expected else "wrong"


def _records(target: Target) -> list[dict[str, Any]]:
    try:
        values: list[object] = [*target.records("images")]
    except ValueError:
        return []
    return [value for value in values if isinstance(value, dict)]


def _names(target: Target, otherwise: list[str]) -> list[str]:
    return [name for record in _records(target) for name in record.get("names", ())] or otherwise


def _name(target: Target) -> str:
    """Return the name of the image as a person would give it, which is a full one."""
    name = next(name for name in _names(target, [VICTIM]) if "victim" in name)
    try:
        return str(Reference.parse(name))
    except FormatError:
        return name


def _listed(target: Target, otherwise: object) -> object:
    """Return what podman should list: each image that has a name."""
    listed = sorted((record["id"], tuple(record["names"])) for record in _records(target) if record.get("names"))
    return listed or otherwise
