from __future__ import annotations

import subprocess
import sys

import pytest

import cstore


@pytest.mark.parametrize("name", cstore.__all__)
def test_each_public_name_is_there_and_is_listed(name: str) -> None:
    assert hasattr(cstore, name)
    assert name in dir(cstore)


def test_another_name_is_none_of_them() -> None:
    with pytest.raises(AttributeError, match=r"^module 'cstore' has no attribute 'Index'$"):
        _ = cstore.Index


def test_it_runs_as_a_module() -> None:
    ran = subprocess.run([sys.executable, "-m", "cstore", "--version"], check=True, capture_output=True, text=True)
    assert ran.stdout == f"cstore, version {cstore.__version__}\n"
