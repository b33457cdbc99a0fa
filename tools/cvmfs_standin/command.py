"""The command line: `cvmfs_server VERB …`."""

from __future__ import annotations

import argparse
import json
import signal
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Never, NoReturn

from tools.cvmfs_standin import revisions
from tools.cvmfs_standin.client import mount_client
from tools.cvmfs_standin.failing import injection
from tools.cvmfs_standin.ingest_call import Call, ingest
from tools.cvmfs_standin.mounts import mounts_below, show_published, unmount
from tools.cvmfs_standin.site import CommandError, Site
from tools.cvmfs_standin.transaction import abort, begin, end, open_transaction, publish, publishing

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from tools.cvmfs_standin.failing import Injection

__all__ = ["main"]


class _Parser(argparse.ArgumentParser):
    def error(self, message: str) -> Never:
        raise CommandError(f"Command {self.prog}: {message}")


def main(arguments: Sequence[str], environ: Mapping[str, str]) -> int:
    """Run one command and return its exit code."""
    signal.signal(signal.SIGTERM, _end)
    try:
        site = Site.of(environ)
        asked = _parser().parse_args(arguments)
        failing = injection(site, environ.get("CVMFS_STANDIN_FAIL", ""), arguments)
        failing.reach("before")
        asked.run(site, asked, failing)
        failing.reach("after")
    except CommandError as failure:
        print(failure, file=sys.stderr)
        return failure.code
    return 0


def _end(number: int, _: object) -> NoReturn:
    """End on SIGTERM as on a failure, cleanly."""
    raise CommandError(f"ended by signal {number}")


def _parser() -> _Parser:
    parser = _Parser(prog="cvmfs_server", allow_abbrev=False)
    verbs = parser.add_subparsers(required=True, parser_class=_Parser)

    def verb(name: str, *, takes_name: bool = True) -> argparse.ArgumentParser:
        found = verbs.add_parser(name, allow_abbrev=False, add_help=False)
        found.set_defaults(run=_VERBS[name])
        if takes_name:
            found.add_argument("name")
        return found

    verb("list", takes_name=False)
    verb("transaction").add_argument("-t", type=float, default=-1)
    publishes = verb("publish")
    publishes.add_argument("-a", default="")
    publishes.add_argument("-m", default="")
    verb("abort").add_argument("-f", action="store_true")
    ingests = verb("ingest")
    ingests.add_argument("-k", "--keep-ownership", action="store_true")
    ingests.add_argument("-t", "--tar_file", default="")
    ingests.add_argument("-b", "--base_dir", default="")
    ingests.add_argument("-d", "--delete", action="append", default=[])
    ingests.add_argument("-c", "--catalog", action="store_true")
    tag = verb("tag")
    tag.add_argument("-l", action="store_true")
    tag.add_argument("-x", action="store_true")
    tag.add_argument("-a", default="")
    tag.add_argument("-m", default="")
    tag.add_argument("-h", "--hash", default="")
    verb("rollback").add_argument("-t", required=True)
    verb("check")
    makes = verb("mkfs")
    makes.add_argument("-u", default="local")
    makes.add_argument("-o", action="append", default=[])
    verb("costs").add_argument("revision", nargs="?", type=int)
    client = verb("client")
    client.add_argument("directory", type=Path)
    client.add_argument("-e", action="append", default=[])
    verb("unmount-all", takes_name=False)
    return parser


def _list(site: Site, _: argparse.Namespace, __: Injection) -> None:
    for repository in site.repositories():
        kind = "gw" if repository.has_gateway else "local"
        print(f"{repository.name} (stratum0 / {kind}{' - in transaction' if repository.flag.exists() else ''})")


def _transaction(site: Site, asked: argparse.Namespace, failing: Injection) -> None:
    open_transaction(site.repository(asked.name), asked.name.partition("/")[2], asked.t, failing)


def _publish(site: Site, asked: argparse.Namespace, failing: Injection) -> None:
    publish(site.repository(asked.name), asked.a, asked.m, failing)


def _abort(site: Site, asked: argparse.Namespace, _: Injection) -> None:
    if not asked.f and input("You are about to DISCARD ALL CHANGES OF THE CURRENT TRANSACTION! Are you sure (y/N)? ") not in ("y", "Y"):
        raise CommandError("not aborted", 4)
    abort(site.repository(asked.name))


def _ingest(site: Site, asked: argparse.Namespace, failing: Injection) -> None:
    deletes = [path for path in asked.delete if path]
    ingest(site.repository(asked.name), Call(asked.tar_file, asked.base_dir, deletes, asked.keep_ownership, asked.catalog), failing)


def _tag(site: Site, asked: argparse.Namespace, _: Injection) -> None:
    repository = site.repository(asked.name)
    known = revisions.tags(repository)
    if asked.a:
        if any(tag["tag"] == asked.a for tag in known):
            raise CommandError(f"Tag name '{asked.a}' is already in use.")
        if asked.hash and repository.has_gateway:
            raise CommandError("Tagging a specific root hash is not supported on gateway repositories")
        if repository.flag.exists():
            raise CommandError("Cannot change repository tags while in a transaction")
        if " " in asked.a:
            raise CommandError("Spaces are not allowed in tag names")
        revisions.add_tag(repository, asked.a, asked.m, asked.hash)
        return
    for tag in reversed(known):
        fields = (tag["tag"], tag["root_hash"], tag["revision"], tag["timestamp"], tag["message"])
        print(*fields, sep=" " if asked.x else "  ")


def _rollback(site: Site, asked: argparse.Namespace, _: Injection) -> None:
    repository = site.repository(asked.name)
    begin(repository, "")
    try:
        with publishing(repository):
            revisions.roll_back(repository, asked.t)
            show_published(repository)
    finally:
        end(repository)


def _check(site: Site, asked: argparse.Namespace, _: Injection) -> None:
    if (site.repository(asked.name).storage / "broken").exists():
        raise CommandError("statistics counter mismatch: the catalogs are broken")
    print("no problems found")


def _mkfs(site: Site, asked: argparse.Namespace, _: Injection) -> None:
    show_published(revisions.make_repository(site, asked.name, asked.u, asked.o))


def _costs(site: Site, asked: argparse.Namespace, _: Injection) -> None:
    found = revisions.records(site.repository(asked.name))
    if asked.revision is not None:
        found = [record for record in found if record["revision"] == asked.revision]
        if not found:
            raise CommandError(f"no revision {asked.revision}")
    print(json.dumps(found if asked.revision is None else found[0], indent=2))


def _client(site: Site, asked: argparse.Namespace, _: Injection) -> None:
    variables = dict(pair.partition("=")[::2] for pair in asked.e)
    mount_client(site.repository(asked.name), asked.directory.absolute(), variables)


def _unmount_all(site: Site, _: argparse.Namespace, __: Injection) -> None:
    for place in mounts_below(site.root):
        unmount(place)


_VERBS = {
    "list": _list,
    "transaction": _transaction,
    "publish": _publish,
    "abort": _abort,
    "ingest": _ingest,
    "tag": _tag,
    "rollback": _rollback,
    "check": _check,
    "mkfs": _mkfs,
    "costs": _costs,
    "client": _client,
    "unmount-all": _unmount_all,
}
