from __future__ import annotations

from base64 import b64encode

import pytest

from cstore.registry.certificates import Certificates
from cstore.registry.connections import Connections
from cstore.registry.patience import Patience
from cstore.registry.refusal import refusal
from tools.registries.proxy import Fault, Proxy

BASIC = "Basic " + b64encode(b"alice:pass word").decode()


def told(body: bytes, status: int = 403, proof: str | None = None, secrets: tuple[str, ...] = ()) -> str:
    connections = Connections(Certificates(), 1, Patience())
    with Proxy("127.0.0.1:1", Fault("", status=status, body=body)) as proxy:
        said = refusal(
            connections.send("GET", f"http://{proxy.address}/", {"Authorization": proof or ""}, is_insecure=True, at="x"), secrets
        )
    connections.close()
    return said


@pytest.mark.parametrize(
    ("body", "said"),
    [
        pytest.param(b"", "status 403 (Forbidden)", id="nothing"),
        pytest.param(b"<html>no</html>", "status 403 (Forbidden)", id="no JSON"),
        pytest.param(b'{"errors":[{"code":"DENIED","message":"not for you"}]}', 'status 403, "not for you"', id="an error"),
        pytest.param(b'{"errors":[{"code":"DENIED","message":""}]}', 'status 403, "DENIED"', id="only a code"),
        pytest.param(b'{"errors":[]}', "status 403 (Forbidden)", id="no errors"),
        pytest.param(b'{"errors":[7]}', "status 403 (Forbidden)", id="no object"),
        pytest.param(b'{"errors":7,"details":"no such user"}', 'status 403, "no such user"', id="of a server of tokens"),
        pytest.param(b'{"error":"invalid_grant","error_description":"too late"}', 'status 403, "too late"', id="of OAuth"),
        pytest.param(b'{"errors":[{"message":{"a":1}}]}', "status 403 (Forbidden)", id="no text"),
        pytest.param(
            b'{"errors":[{"message":"a\\u001b[2Jb\\nc\\u202e"}]}', 'status 403, "a?[2Jb?c?"', id="what tells a terminal something"
        ),
        pytest.param(b'{"errors":[{"message":"' + b"x" * 1000 + b'"}]}', 'status 403, "' + "x" * 200 + '"', id="a long one"),
        pytest.param(b'{"errors":[{"message":"' + b"x" * 70000 + b'"}]}', "status 403 (Forbidden)", id="too long a body"),
    ],
)
def test_what_is_told(body: bytes, said: str) -> None:
    assert told(body) == said


@pytest.mark.parametrize(
    ("message", "said"),
    [
        (f"not with {BASIC}", "not with Basic …"),
        ("not with pass word", "not with …"),
        ("not with alice:pass word!", "not with …!"),
        ("not with the secret token", "not with the …"),
    ],
)
def test_what_was_shown_is_not_repeated(message: str, said: str) -> None:
    """Spec Q6."""
    body = b'{"errors":[{"message":"' + message.encode() + b'"}]}'
    assert told(body, 403, BASIC, ("secret token",)) == f'status 403, "{said}"'


def test_a_status_without_a_name() -> None:
    assert told(b"", 499) == "status 499"
