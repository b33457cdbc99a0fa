"""`cstore completion`: the script that completes verbs and options in a shell."""

from __future__ import annotations

import click
from click.shell_completion import get_completion_class

__all__ = ["command"]


@click.command("completion")
@click.argument("shell", type=click.Choice(["bash", "zsh", "fish"]))
def command(shell: str) -> None:
    """Print the completion script for SHELL; in bash: eval "$(cstore completion bash)"."""
    from cstore.cli import program  # noqa: PLC0415 - the program loads its verbs, not the other way round

    kind = get_completion_class(shell)
    if kind is None:
        raise click.UsageError(f"no completion for {shell}")
    click.echo(kind(program, {}, "cstore", "_CSTORE_COMPLETE").source())
