"""Apptainer's files of an image: what it runs, the environment, labels, and where it mounts things (spec E8 to E11)."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

from cstore.index.gojson import encode
from cstore.layer.entry import Entry, Kind
from cstore.layer.merging import Part

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from cstore.model.settings import Settings

__all__ = ["MOUNT_POINTS", "apptainer_part", "environment", "labels", "runscript"]

_ROOM = b".singularity.d"
_NAME = re.compile(r"[A-Za-z_][A-Za-z0-9_]*")
_SHELLS_OWN = frozenset(["BASHOPTS", "BASH_VERSINFO", "EGID", "EUID", "GID", "PPID", "SHELLOPTS", "UID"])
"""Variables that some shell lets nobody set: it would end at the attempt."""
_EVALUATED = """\
if [ $# -gt 0 ] && [ -z "${SINGULARITY_NO_EVAL:-}${APPTAINER_NO_EVAL:-}" ]; then
    _cstore_words=
    for _cstore_word in "$@"; do
        _cstore_words="$_cstore_words \\"$_cstore_word\\""
    done
    eval "set -- $_cstore_words"
    unset _cstore_words _cstore_word
fi
"""
MOUNT_POINTS = tuple(
    Entry(path, Kind.DIRECTORY, 0o1777 if path.endswith(b"tmp") else 0o755, 0, 0, 0)
    for path in (b"proc", b"sys", b"dev", b"tmp", b"var", b"var/tmp", b"home", b"root")
)
"""Directories that Apptainer mounts something at, outer ones first; it warns where one is missing."""


def apptainer_part(settings: Settings) -> Part:
    """Return the part with Apptainer's own files, to be merged on top of all others.

    What else an image has in `.singularity.d` stays, as where `apptainer build` makes an image of it.
    """
    files: dict[bytes, tuple[int, bytes]] = {
        b"/env/10-docker2singularity.sh": (0o755, environment(settings)),
        b"/labels.json": (0o644, labels(settings)),
        b"/runscript": (0o755, runscript(settings)),
    }

    def walk() -> Iterator[tuple[Entry, Iterator[bytes]]]:
        for path in (_ROOM, _ROOM + b"/env"):
            yield Entry(path, Kind.DIRECTORY, 0o755, 0, 0, 0), iter(())
        for name, (mode, data) in files.items():
            yield Entry(_ROOM + name, Kind.FILE, mode, 0, 0, 0, size=len(data)), iter([data])

    return Part(id="", headers=lambda: (entry for entry, _ in walk()), walk=walk)


def runscript(settings: Settings) -> bytes:
    """Return the script that `apptainer run` runs.

    What the caller gives takes the place of Cmd; Entrypoint comes before either. The words of the config are taken as they are. Those
    of the caller are evaluated as if they stood in double quotes, unless SINGULARITY_NO_EVAL or APPTAINER_NO_EVAL is set.
    """
    script = "#!/bin/sh\n" + _EVALUATED
    if settings.cmd:
        script += f"if [ $# -eq 0 ]; then\n    set -- {_quoted_words(settings.cmd)}\nfi\n"
    if settings.entrypoint:
        script += f'set -- {_quoted_words(settings.entrypoint)} "$@"\n'
    return _bytes(script + 'exec "$@"\n')


def environment(settings: Settings) -> bytes:
    """Return the script that sets the environment: each variable where the caller has not set it already, but PATH always.

    What is no name of a shell's variable, or one that a shell keeps to itself, is left out.
    """
    lines = ["#!/bin/sh\n"]
    for text in settings.env:
        name, _, value = text.partition("=")
        if not _NAME.fullmatch(name) or name in _SHELLS_OWN or "\0" in value:
            continue
        if name == "PATH":
            lines.append(f"PATH={_quoted(value)}\n")
        elif value:
            lines.append(f'if [ -z "${{{name}:-}}" ]; then {name}={_quoted(value)}; fi\n')
        else:
            lines.append(f'{name}="${{{name}:-}}"\n')
        lines.append(f"export {name}\n")
    return _bytes("".join(lines))


def labels(settings: Settings) -> bytes:
    """Return the labels as one JSON object, in the order of their names."""
    return encode(dict(sorted(settings.labels.items()))) + b"\n"


def _quoted_words(words: Sequence[str]) -> str:
    return " ".join(_quoted(word.partition("\0")[0]) for word in words)


def _quoted(text: str) -> str:
    """Return text as one word of a shell, in which nothing means anything."""
    return "'" + text.replace("'", "'\\''") + "'"


def _bytes(text: str) -> bytes:
    return text.encode("utf-8", "surrogateescape")
