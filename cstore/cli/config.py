"""`cstore config`: the storage.conf that makes podman use a store."""

from __future__ import annotations

import os

import click

from cstore.cli.site import place_at
from cstore.errors import StoreError
from cstore.model.layout import view_at
from cstore.store import Store

__all__ = ["command"]

_ROOT_PLACES = 'graphroot = "/var/lib/containers/storage"\nrunroot = "/run/containers/storage"\n'
_UNUSABLE = frozenset(',"\\')
_FUSE = '\n[storage.options.overlay]\nmount_program = "/usr/bin/fuse-overlayfs"\n'


@click.command("config")
@click.argument("location")
@click.option("--view", metavar="NAME", help="Use a view of the store, not the store.")
@click.option("--fuse-overlayfs", is_flag=True, help="For rootless readers of a store that is not theirs.")
def command(location: str, *, view: str | None, fuse_overlayfs: bool) -> None:
    """Print the storage.conf with which podman uses the store at LOCATION besides its own.

    It belongs into /etc/containers/storage.conf for root, into ~/.config/containers/storage.conf for a user, or into any file that
    CONTAINERS_STORAGE_CONF names.
    """
    place = place_at(location)
    store = Store.open(place.root)
    root = place.readers_root
    if view is not None:
        if view not in store.about.views:
            raise StoreError(f'{place.root}: expected a view "{view}", found none')
        root /= view_at(view)
    if set(str(root)) & _UNUSABLE or not str(root).isprintable():
        raise StoreError(f"{root}: expected a path without commas, quotes, backslashes and control characters, since podman cannot use one")
    click.echo(
        f'[storage]\ndriver = "overlay"\n{_ROOT_PLACES if os.geteuid() == 0 else ""}\n'
        f'[storage.options]\nadditionalimagestores = ["{root}"]\n{_FUSE if fuse_overlayfs else ""}',
        nl=False,
    )
