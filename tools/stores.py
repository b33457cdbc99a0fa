"""The stores and images that benchmarks read: made once by make_store.py and make_bulk.py for all that run together."""

from __future__ import annotations

import os
import subprocess
import sys
import tempfile
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import argparse
    from collections.abc import Callable, Iterator

    from tools.figures import Figure

__all__ = ["INDEXES", "LOCKS", "RUNNABLE", "add_image_options", "add_options", "image_of", "layers_of", "place_of", "store_of"]

INDEXES = ("overlay-images/images.json", "overlay-layers/layers.json")
LOCKS = ("overlay-images/images.lock", "overlay-layers/layers.lock")

RUNNABLE = "registry.example.org/bench/true:1"
"""The image of each of these stores that can be run, by the program `true`."""

_TOOLS = Path(__file__).parent


def add_options(parser: argparse.ArgumentParser, *, sizes: list[int], runs: int) -> None:
    """Add what all benchmarks of stores take.

    Args:
        parser: of the benchmark.
        sizes: the numbers of images, unless told.
        runs: of each program, unless told.
    """
    parser.add_argument("--images", type=_positive, nargs="+", default=sizes, metavar="N", help=f"of each store; {sizes} unless told")
    _add_common(parser, runs)


def add_image_options(parser: argparse.ArgumentParser, *, sizes: list[int], runs: int) -> None:
    """Add what all benchmarks of images take.

    Args:
        parser: of the benchmark.
        sizes: the numbers of files in an image, unless told.
        runs: of each program, unless told.
    """
    parser.add_argument("image", nargs="*", metavar="OCI_LAYOUT:TAG", help="beside those with so many files")
    parser.add_argument(
        "--files", type=_positive, nargs="*", default=sizes, metavar="N", help=f"of 10 kB in each image; {sizes} unless told"
    )
    _add_common(parser, runs)


def _add_common(parser: argparse.ArgumentParser, runs: int) -> None:
    parser.add_argument("--runs", type=_positive, default=runs, metavar="N", help=f"of each program; {runs} unless told")
    parser.add_argument(
        "--stores", type=Path, metavar="DIR", help="keeps what is made there, and takes what is; a killed run may leave it changed"
    )
    parser.add_argument("--json", type=Path, metavar="FILE", help="writes the figures there")


def of_images(asked: argparse.Namespace, measure: Callable[[str, int, str, int], list[Figure]]) -> list[Figure]:
    """Return the figures of all images that were asked for, by `add_image_options`.

    Args:
        asked: what was asked.
        measure: takes OCI_LAYOUT:TAG, how often to run, the figures' group, and the number of files, 0 where it is not known.
    """
    figures: list[Figure] = []
    with place_of(asked.stores) as place:
        for files in asked.files:
            figures += measure(image_of(place, files), asked.runs, "files of 10 kB", files)
        for image in asked.image:
            figures += measure(image, asked.runs, f"image {image.rpartition(':')[2]}", 0)
    return figures


@contextmanager
def place_of(stores: Path | None) -> Iterator[Path]:
    """Yield the directory in which stores are made: that one, or a new one that is removed."""
    if stores is not None:
        stores.mkdir(parents=True, exist_ok=True)
        yield stores.resolve()
        return
    with tempfile.TemporaryDirectory(dir=os.environ.get("TMPDIR", ".")) as place:
        yield Path(place).resolve()


def store_of(place: Path, images: int, form: str = "direct") -> Path:
    """Return the store of so many images, of eight layers for each, and one more that can be run; it is made where there is none.

    Args:
        place: the directory for stores.
        images: how many.
        form: of the store, `direct` or `sharded`.
    """
    store = place / f"{form}-{images}"
    if not store.exists():
        # In processes of their own: the largest size of a program that is measured is at least that of this one.
        _python(_TOOLS / "make_store.py", store, "--images", str(images), "--form", form)
        with tempfile.TemporaryDirectory(dir=place) as work:
            _python(_TOOLS / "make_image.py", f"{work}/image", "true")
            _python("-m", "cstore", "add", store, f"oci:{work}/image:latest", "--name", RUNNABLE)
    return store


def image_of(place: Path, files: int) -> str:
    """Return OCI_LAYOUT:TAG of an image of so many files of 10 kB in one layer, gzip; it is made where there is none."""
    layout = place / f"files-{files}"
    if not layout.exists():
        _python(_TOOLS / "make_bulk.py", layout, "--files", str(files), "--size", "10000")
    return f"{layout}:bulk"


def layers_of(store: Path) -> int:
    """Return the number of layers of a store that make_store.py made."""
    return (store / INDEXES[1]).read_bytes().count(b'\n{"id":')


def _python(*arguments: str | Path) -> None:
    done = subprocess.run([sys.executable, *arguments], check=False, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, text=True)
    if done.returncode:
        sys.exit(f"{' '.join(map(str, arguments))}: exit {done.returncode}\n{done.stderr}")


def _positive(text: str) -> int:
    number = int(text)
    if number < 1:
        raise ValueError(text)
    return number
