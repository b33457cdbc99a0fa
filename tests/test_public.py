from __future__ import annotations

import subprocess
import sys

import pytest

import cstore

ROOMS = ("attrs", "attr", "click", "dateutil", "isal", "orjson", "zstandard", "fastcrc", "tarfile", "json")


def test_importing_it_imports_nothing_that_takes_time() -> None:
    program = f"import cstore, sys; print([name for name in {ROOMS} if name in sys.modules])"
    assert subprocess.run([sys.executable, "-c", program], check=True, capture_output=True).stdout == b"[]\n"


@pytest.mark.parametrize("name", ["StoreError", "FormatError", "ContentError", "SourceError", "NotFoundError", "PublishError"])
def test_all_errors_are_of_one_family(name: str) -> None:
    assert issubclass(getattr(cstore, name), cstore.StoreError)


def test_a_name_is_looked_up_once() -> None:
    assert cstore.Batch is cstore.Batch
    assert "Batch" in vars(cstore)


def test_names_are_in_order_and_each_has_a_docstring() -> None:
    assert cstore.__all__ == sorted(cstore.__all__)
    assert all(getattr(cstore, name).__doc__ for name in cstore.__all__)
