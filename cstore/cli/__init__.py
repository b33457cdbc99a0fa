"""The command line: the only place that prints, reads the environment and exits."""

from __future__ import annotations

import sys
from importlib import import_module
from typing import TYPE_CHECKING

import click

from cstore import __version__
from cstore.cli.interrupts import Interrupts, interruptible
from cstore.errors import StoreError

if TYPE_CHECKING:
    from collections.abc import Sequence

__all__ = ["main", "program"]

_VERBS = (
    *("add", "remove", "tag", "list", "inspect", "prune", "verify", "repair", "adopt", "diff", "view", "config"),
    *("sync", "watch", "expand", "lint", "completion"),
)
_FAILED = 3
_INTERRUPTED = 130


class _Verbs(click.Group):
    """The verbs, each loaded from its own module when it is asked for."""

    def list_commands(self, _context: click.Context) -> list[str]:
        return [*_VERBS]

    def get_command(self, context: click.Context, name: str) -> click.Command | None:
        if name not in _VERBS:
            return super().get_command(context, name)
        command: click.Command = import_module(f"cstore.cli.{name}").command
        return command


@click.group(cls=_Verbs, context_settings={"help_option_names": ["-h", "--help"]}, no_args_is_help=True)
@click.version_option(__version__, prog_name="cstore")
def program() -> None:
    """Write, change and check podman additional image stores.

    LOCATION is the directory of a store. SOURCE is docker://REGISTRY/REPOSITORY[:TAG|@DIGEST], oci:DIR[:TAG],
    oci-archive:FILE[:TAG] or docker-archive:FILE[:NAME].
    """


def main(arguments: Sequence[str] | None = None) -> None:
    """Run the command line and exit: 0 fine, 1 where a verb found something, 2 usage, 3 error (one sentence on stderr)."""
    with interruptible() as interrupts:
        _run(arguments, interrupts)


def _run(arguments: Sequence[str] | None, interrupts: Interrupts) -> None:
    try:
        code = program.main(arguments, prog_name="cstore", standalone_mode=False)
    except click.UsageError as error:
        error.show()
        sys.exit(error.exit_code)
    except StoreError as error:
        from cstore.verification.problem import printable  # noqa: PLC0415 - most runs have nothing to say

        click.echo(f"cstore: {printable(str(error))}", err=True)
        sys.exit(_FAILED)
    except SystemExit as end:
        # click ends like this when nobody reads its output any more.
        sys.exit(_FAILED if end.code == 1 else end.code)
    except (click.Abort, KeyboardInterrupt):
        interrupts.is_over = True
        click.echo("cstore: interrupted", err=True)
        sys.exit(_INTERRUPTED)
    except OSError as error:
        click.echo(f"cstore: {error.filename or 'standard output or a file'}: expected to use it, found: {error.strerror}", err=True)
        sys.exit(_FAILED)
    else:
        # A problem or a difference, with which a verb has ended by itself, is no error.
        if code:
            sys.exit(code)
