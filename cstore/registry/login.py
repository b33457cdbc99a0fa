"""What shows who is asking."""

from __future__ import annotations

from attrs import field, frozen

__all__ = ["Login"]


@frozen
class Login:
    """A user and a password, or an identity token in place of the password."""

    user: str
    password: str = field(repr=False)
    identity_token: str = field(default="", repr=False)

    @property
    def is_useful(self) -> bool:
        """Whether there is anything in it: files have empty entries too."""
        return bool(self.user or self.password or self.identity_token)
