from __future__ import annotations

import pytest

from cstore.registry.credentials import Credentials, Login

LOGINS = {name: Login(name, "secret") for name in ("a.org", "a.org/b", "a.org/b/c/d", "c.org:5000")}


@pytest.mark.parametrize(
    ("registry", "repository", "user"),
    [
        ("a.org", "x", "a.org"),
        ("a.org", "b", "a.org/b"),
        ("a.org", "bc", "a.org"),
        ("a.org", "b/c", "a.org/b"),
        ("a.org", "b/c/d", "a.org/b/c/d"),
        ("c.org:5000", "x", "c.org:5000"),
        ("c.org", "x", None),
    ],
)
def test_the_longest_key_counts(registry: str, repository: str, user: str | None) -> None:
    """Spec Q3."""
    found = Credentials(LOGINS).find(registry, repository)
    assert (found and found.user) == user


def test_a_password_is_not_shown() -> None:
    assert repr(Login("alice", "secret", "identity")) == "Login(user='alice')"
