"""A program that follows as `cstore watch` does, with rounds of the tests' own: each appends its number to a file and does as it is told.

It is called as `following.py FILE PLAN [OPTIONS of cstore watch]`; a letter of PLAN is a round, and the last one stands for all that come:
`.` does nothing, `f` fails, `w` waits as long as FILE.wait is there, telling of a publish, and `d` does so while it downloads.
"""

from __future__ import annotations

import datetime as dt
import sys
import time
from contextlib import nullcontext
from pathlib import Path
from typing import TYPE_CHECKING

import click
from attrs import frozen

from cstore import cli
from cstore.cli.watch import Following, follow, watch_options
from cstore.errors import SourceError
from cstore.sync.report import ImageState, Outcome, RoundReport

if TYPE_CHECKING:
    from collections.abc import Collection, Sequence

    from cstore.progress import Progress

DIGEST = f"sha256:{'c' * 64}"


@frozen
class FileRounds:
    """Rounds that write to a file."""

    file: Path
    plan: str
    progress: Progress
    moved: int = 0
    is_publishing: bool = False

    def run(self, wishlists: Sequence[Path], *, only: Collection[str] | None = None, number: int) -> RoundReport:
        started = dt.datetime.now(tz=dt.UTC)
        with self.file.open("a") as file:
            file.write(f"{number} {'all' if only is None else ','.join(sorted(only))} {' '.join(path.read_text() for path in wishlists)}\n")
        self._do(self.plan[min(number, len(self.plan)) - 1])
        image = ImageState(
            name="registry.example.org/a:1",
            platform="linux/amd64",
            wish="registry.example.org/a:1",
            outcome=Outcome.UNCHANGED,
            registry_digest=DIGEST,
            published_digest=DIGEST,
        )
        with self.file.open("a") as file:
            file.write(f"{number} ended\n")
        names = None if only is None else frozenset(only)
        return RoundReport(number=number, started=started, ended=dt.datetime.now(tz=dt.UTC), only=names, images=(image,))

    def _do(self, letter: str) -> None:
        if letter == "f":
            raise SourceError("registry.example.org: expected a registry,\nfound \x1b[31mnone")
        if letter not in "wd":
            return
        advance = self.progress("streaming" if letter == "w" else "downloading", "a", 100)
        try:
            while self.file.with_suffix(".wait").exists():
                advance(1)
                time.sleep(0.02)
        except KeyboardInterrupt:
            with self.file.open("a") as file:
                file.write("undone\n")
            raise


@click.command("follow")
@click.argument("file", type=click.Path(path_type=Path))
@click.argument("plan")
@click.argument("wishlists", nargs=-1, type=click.Path(path_type=Path))
@watch_options
def command(  # noqa: PLR0913 - one parameter for each option
    file: Path, plan: str, wishlists: tuple[Path, ...], *, every: float, events: str, listen: str, notify_secret_file: str
) -> None:
    """Follow."""
    asked = Following(wishlists=wishlists, every=every, events=events, listen=listen, notify_secret_file=notify_secret_file)
    follow(lambda progress: nullcontext(FileRounds(file, plan, progress)), asked)


if __name__ == "__main__":
    cli.program.add_command(command)
    cli.main(["follow", *sys.argv[1:]])
