"""How the verbs show things: sizes, steps, progress, JSON."""

from __future__ import annotations

import re
import sys
from contextlib import contextmanager
from typing import TYPE_CHECKING, Self

import click
import orjson

from cstore.delta import Delta, PutDirectory, PutFile, PutSymlink, PutTree, Remove, ReplaceIndex, Step
from cstore.verification.problem import printable

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence

    from cstore.progress import Progress
    from cstore.publish.batch import Receipt
    from cstore.publish.place import Published

__all__ = [
    "as_json",
    "count",
    "delta_lines",
    "progress",
    "receipt_json",
    "revision_lines",
    "say",
    "size",
    "step_dict",
    "table_lines",
    "tell",
]

_TELLING = re.compile("[\x7f-\x9f\u061c\u200b-\u200f\u2028-\u202e\u2066-\u2069]")
_UNITS = ("B", "kB", "MB", "GB", "TB")
_STEP_SIZE = 1000
_COUNTING = ("checking", "reading", "listing tags of", "looking up", "opening", "fetching")
_WAITING = "waiting for"


def size(count: int) -> str:
    """Return a number of bytes as people read it."""
    value = float(count)
    for unit in _UNITS:
        if value < _STEP_SIZE or unit == _UNITS[-1]:
            break
        value /= _STEP_SIZE
    return f"{value:.0f} {unit}" if unit == "B" else f"{value:.1f} {unit}"


def count(number: int, thing: str) -> str:
    """Return a number of things as people write it."""
    plural = {"entry": "entries"}.get(thing, f"{thing}s")
    return f"{number} {thing if number == 1 else plural}"


def as_json(value: object) -> str:
    """Return a value as one line of JSON, in which nothing tells a terminal something."""
    return _TELLING.sub(lambda match: f"\\u{ord(match[0]):04x}", orjson.dumps(value).decode())


def say(line: str) -> None:
    """Print a line; names and texts in it may be of anybody, so that what would tell a terminal something is escaped."""
    click.echo(printable(line))


def complain(line: str) -> None:
    """Print a line of what went wrong, as `say`."""
    click.echo(printable(line), err=True)


def delta_lines(delta: Delta) -> Iterator[str]:
    """Yield a line for each step, and one for their sum."""
    for step in delta:
        entries = f", {count(step.entries, 'entry')}" if isinstance(step, PutTree) else ""
        written = f" ({size(step.size)}{entries})" if step.size or entries else ""
        yield f"{_verb(step)} {step.path}{written}"
    yield f"{count(len(delta.steps), 'step')}, {count(delta.entries, 'entry')}, {size(delta.size)}" if delta else "nothing to do"


def revision_lines(done: Receipt | Published | None, tag: str) -> Iterator[str]:
    """Yield a line that tells the revision that was published, if one was; where one was to get a name, also that none was."""
    if done is not None and done.revision is not None:
        yield f"revision {done.revision}, root hash {done.root_hash or 'unknown, since somebody else has published by now'}"
    elif tag:
        yield f"no revision is named {tag}, since there was nothing to publish"


def receipt_json(done: Receipt | Published | None, **more: object) -> str:
    """Return what was done as JSON, with the revision that was published, null where none was."""
    told = (done.revision, done.root_hash) if done is not None else (None, None)
    return as_json({**more, "changed": bool(done and done.delta), "revision": told[0], "root_hash": told[1]})


def table_lines(rows: Sequence[Sequence[str]]) -> Iterator[str]:
    """Yield rows with their cells below each other."""
    widths = [max(map(len, column)) for column in zip(*rows, strict=True)]
    for row in rows:
        yield "  ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True)).rstrip()


def tell(done: Published, tag: str, *, dry_run: bool, as_json: bool) -> None:
    """Tell which steps were carried out, or would be.

    Args:
        done: what was done.
        tag: the name that the revision was to get; empty for none.
        dry_run: whether nothing was to be written.
        as_json: whether it is told as JSON.
    """
    if as_json:
        click.echo(receipt_json(done, steps=[step_dict(step) for step in done.delta]))
        return
    for line in (*delta_lines(done.delta), *revision_lines(done, "" if dry_run else tag)):
        say(line)


def step_dict(step: Step) -> dict[str, object]:
    """Return a step for JSON."""
    return {"step": _verb(step), "path": step.path, "bytes": step.size, "entries": step_entries(step)}


def step_entries(step: Step) -> int:
    """Return how many entries a step writes."""
    return step.entries if isinstance(step, PutTree) else int(not isinstance(step, Remove))


def _verb(step: Step) -> str:
    names = {
        PutTree: "put tree",
        PutDirectory: "put directory",
        PutFile: "put file",
        PutSymlink: "put symlink",
        ReplaceIndex: "replace index",
    }
    return names.get(type(step), "remove")


@contextmanager
def progress() -> Iterator[Progress]:
    """Show how long works go on: as bars on a terminal, as a line for each elsewhere; all of it on stderr."""
    # There is none where the caller has closed it.
    terminal = sys.stderr is not None and sys.stderr.isatty()
    with _Bars() if terminal else _Lines() as shown:
        yield shown


def _amount(work: str, subject: str, total: int) -> str:
    """Return what a work is about and how much there is of it: a check counts things, waiting nothing, all else bytes."""
    if work in _COUNTING:
        return f"{total} {_singular(subject) if total == 1 else subject}"
    return subject if work == _WAITING else f"{subject} ({size(total)})"


def _singular(things: str) -> str:
    return f"{things.removesuffix('ies')}y" if things.endswith("ies") else things.removesuffix("s")


class _Lines:
    """A line for each piece of work."""

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_error: object) -> None:
        return

    def __call__(self, work: str, subject: str, total: int) -> Callable[[int], object]:
        click.echo(f"{work} {_amount(work, subject, total)}", err=True)
        return lambda _size: None


class _Bars:
    """A bar for each piece of work, one below the other."""

    def __init__(self) -> None:
        self._bar: click._termui_impl.ProgressBar[int] | None = None

    def __enter__(self) -> Self:
        return self

    def __exit__(self, kind: type[BaseException] | None, *_error: object) -> None:
        if kind is None:
            self._end()
        elif self._bar is not None:
            self._bar.render_finish()

    def __call__(self, work: str, subject: str, total: int) -> Callable[[int], object]:
        self._end()
        if work == _WAITING:
            return _Lines()(work, subject, total)
        label = f"{work} {_amount(work, subject.removeprefix('sha256:')[:12], total)}"
        self._bar = click.progressbar(length=max(total, 1), label=label, file=sys.stderr, update_min_steps=max(total // 200, 1))
        self._bar.render_progress()
        return self._bar.update

    def _end(self) -> None:
        if self._bar is not None:
            self._bar.update(self._bar.length or 0)
            self._bar.render_finish()
            self._bar = None
