"""What podman takes to read a store, by the store's size, as cstore writes it and as its indexes could be otherwise.

    bench_readers.py [--images N ...] [--runs N] [--stores DIR] [--json FILE]

Makes stores of eight layers for each image, and lets podman read each through a mount that cannot be written to, beside an empty store
of its own: `podman image exists NAME`, `podman images -q`, and `podman run` of an image whose program does nothing. Then all that again
with other indexes or locks and the same trees:

    as cstore writes              what is there
    empty locks                   the same indexes; locks that hold nothing, as DUCC (the present converter of CernVM-FS) writes them
    DUCC's records                records with DUCC's members, indented, those of a layer once for each image; locks of 64 bytes
    DUCC's records, empty locks   what DUCC writes
    fewest members                records with no more members than these three commands of podman need; locks of 64 bytes

What takes longer than two minutes is given up, and not tried where a smaller store lets it be expected. Only as root, with podman.
"""

from __future__ import annotations

import argparse
import json
import shutil
from functools import partial
from multiprocessing import get_context
from typing import TYPE_CHECKING, Any

from tools.figures import Benchmark, Figure, compared, report
from tools.reader import need_podman, own_mounts, reader
from tools.readings import Kind, readings, version
from tools.stores import INDEXES, LOCKS, add_options, place_of, store_of

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence
    from pathlib import Path

_ABOUT = """\
podman {version} reads a store of so many images, with eight layers for each, on a read-only mount, beside an empty store of its own. The
indexes and locks are those of cstore, or others over the same trees: locks that hold nothing; the records that DUCC, CernVM-FS's present
converter, writes (indented, those of a shared layer once for each image); records with no more members than these commands need. A dash
is more than two minutes."""
_OWN = "as cstore writes"
_IMAGE_MEMBERS = ("id", "names", "layer", "created")
_LAYER_MEMBERS = ("id", "parent", "created", "diff-digest", "diff-size")
_DUCC_LAYER_MEMBERS = (*_LAYER_MEMBERS[:3], "compressed-diff-digest", "compressed-size", *_LAYER_MEMBERS[3:])


def main() -> None:
    """Run the benchmark and print its tables."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    add_options(parser, sizes=[10, 100, 1000, 10_000], runs=3)
    asked = parser.parse_args()
    need_podman("bench_readers.py")
    own_mounts()
    figures: list[Figure] = []
    with place_of(asked.stores) as place:
        for images in sorted(asked.images):
            figures += _read(store_of(place, images), images, asked.runs, figures)
    about = _ABOUT.format(version=version())
    report(Benchmark(name="readers", about=about, x="images", figures=compared(figures)), json=asked.json)


def _read(store: Path, images: int, runs: int, smaller: Sequence[Figure]) -> list[Figure]:
    """Return what podman takes for a store of each kind, and leave the store as it was."""
    kept = store.with_name(f"{store.name}-kinds")
    shutil.rmtree(kept, ignore_errors=True)
    with get_context("spawn").Pool(1) as pool:
        # Which takes memory, and podman's would be told to be no less.
        sizes = pool.apply(write_kinds, (store, kept))
    made = [Figure(group="both indexes", name=kind, unit="MB", x=images, value=size, peer=_peer(kind)) for kind, size in sizes.items()]
    try:
        with reader(store=store) as podman:
            kinds = {kind: Kind(podman.env, partial(_put, kept / kind, store), _peer(kind)) for kind in sizes}
            made += readings(kinds, images, runs, smaller)
    finally:
        _put(kept / _OWN, store)
        shutil.rmtree(kept)
    return made


def _peer(kind: str) -> str:
    return "" if kind == _OWN else _OWN


def _put(kind: Path, store: Path) -> None:
    for name in (*INDEXES, *LOCKS):
        shutil.copyfile(kind / name.replace("/", "-"), store / name)


def write_kinds(store: Path, kept: Path) -> dict[str, float]:
    """Write indexes and locks of each kind, and return how many MB the indexes of each have."""
    images, layers = (json.loads((store / name).read_bytes()) for name in INDEXES)
    own = [(store / name).read_bytes() for name in INDEXES]
    locks = [(store / name).read_bytes() for name in LOCKS]
    fewest = [_lines(_only(images, _IMAGE_MEMBERS)), _lines(_only(layers, _LAYER_MEMBERS))]
    ducc = [_indented(_only(images, _IMAGE_MEMBERS)), _indented(_only(_once_for_each(images, layers), _DUCC_LAYER_MEMBERS))]
    empty = [b"", b""]
    kinds: Mapping[str, tuple[Sequence[bytes], Sequence[bytes]]] = {
        _OWN: (own, locks),
        "empty locks": (own, empty),
        "DUCC's records": (ducc, locks),
        "DUCC's records, empty locks": (ducc, empty),
        "fewest members": (fewest, locks),
    }
    for kind, (indexes, its_locks) in kinds.items():
        (kept / kind).mkdir(parents=True)
        for name, data in zip((*INDEXES, *LOCKS), (*indexes, *its_locks), strict=True):
            (kept / kind / name.replace("/", "-")).write_bytes(data)
    return {kind: round(sum(map(len, indexes)) / 1e6, 3) for kind, (indexes, _) in kinds.items()}


def _only(records: Iterable[Mapping[str, Any]], members: Iterable[str]) -> list[dict[str, Any]]:
    return [{name: record[name] for name in members if name in record} for record in records]


def _once_for_each(images: Iterable[Mapping[str, Any]], layers: Iterable[Mapping[str, Any]]) -> Iterable[Mapping[str, Any]]:
    """Yield the records of all layers of each image, the base first, even where an image before has them too."""
    by_id = {layer["id"]: layer for layer in layers}
    for image in images:
        chain, layer = [], by_id.get(image["layer"])
        while layer:
            chain.append(layer)
            layer = by_id.get(layer.get("parent"))
        yield from reversed(chain)


def _lines(records: Iterable[Mapping[str, Any]]) -> bytes:
    return ("[\n" + ",\n".join(json.dumps(record, separators=(",", ":")) for record in records) + "\n]\n").encode()


def _indented(records: Sequence[Mapping[str, Any]]) -> bytes:
    return json.dumps(records, indent=1).encode()


if __name__ == "__main__":
    main()
