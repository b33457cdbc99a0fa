"""Asking a registry: with what shows who is asking, along redirects, and again when that may help (spec Q4 to Q8, Q16)."""

from __future__ import annotations

import time
from functools import partial
from typing import TYPE_CHECKING
from urllib.parse import urljoin, urlsplit

from attrs import field, frozen

from cstore.errors import SourceError
from cstore.model.manifest import LARGEST_DOCUMENT
from cstore.registry.authentication import Authentication, TokenRequest
from cstore.registry.breaker import Breaker, Failure
from cstore.registry.connections import Answer, Connections, LostError, RejectedError, origin
from cstore.registry.patience import Patience, Tries, seconds_asked_for
from cstore.registry.refusal import refusal

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from cstore.registry.breaker import Question
    from cstore.registry.certificates import Certificates
    from cstore.registry.credentials import Credentials
    from cstore.registry.endpoint import Endpoint
    from cstore.registry.proxies import Proxies

__all__ = ["AbsentError", "Client", "Request"]

_REDIRECTS = (301, 302, 303, 307, 308)
_AGAIN = (408, 429, 500, 502, 503, 504)
_BAD_REQUEST = 400
_UNAUTHORIZED = 401
_ABSENT = 404
_TOO_MANY = 429
_GOOD = range(200, 300)
_MOST_REDIRECTS = 10
_MIRROR_TRIES = 2


class AbsentError(SourceError):
    """A registry answers that it has no such thing."""


@frozen(kw_only=True)
class Request:
    """What is asked of a registry."""

    endpoint: Endpoint
    path: str
    """With the query."""
    at: str
    """What errors call it."""
    wanted: str
    """What is expected, for errors, as in `a manifest`."""
    method: str = "GET"
    headers: Mapping[str, str] = field(factory=dict)
    taken: tuple[int, ...] = ()
    """Statuses besides the good ones with which the caller can do something."""
    is_anonymous: bool = False
    """Whether nobody is named who asks; then the caller looks at the status."""


class Client:
    """Asks registries, for any number of threads.

    Args:
        certificates: for TLS.
        credentials: of users.
        most_per_host: connections to one host at the same time.
        patience: how long is waited, and how often is tried.
        pause: sleeps so many seconds.
        proxies: by which some hosts are asked.
    """

    def __init__(  # noqa: PLR0913 - keywords, each of them one thing to choose
        self,
        *,
        certificates: Certificates,
        credentials: Credentials,
        most_per_host: int,
        patience: Patience,
        pause: Callable[[float], object],
        proxies: Proxies | None = None,
    ) -> None:
        self.connections = Connections(certificates, most_per_host, patience, proxies)
        self._authentication = Authentication(credentials, self._ask_for_token)
        self._patience = patience
        self._pause = pause
        self._breaker = Breaker(patience, time.monotonic)
        self._schemes: dict[str, str] = {}
        """How those that may be insecure are asked."""

    def tries(self, subject: str) -> Tries:
        """Return the tries for something."""
        return Tries(self._patience, self._pause, f"{id(self)} {subject}")

    def open(self, request: Request, tries: Tries) -> Answer:
        """Send a request, again and again where that may help, and return the answer; its body is still to be read.

        Raises:
            AbsentError: the registry has no such thing.
            SourceError: it refuses, or no answer came after all tries.
        """
        host = request.endpoint.host
        question = self._breaker.question(f"{request.endpoint}{request.path}")
        most = _MIRROR_TRIES if request.endpoint.is_mirror else None
        while True:
            headers: Mapping[str, str] = {}
            try:
                answer = self._sent(request, None) if request.is_anonymous else self._authorized(request)
            except LostError as error:
                failure = f"{request.at}: expected an answer from {host}, found none ({error})"
                silence = _silence(error)
            except RejectedError as error:
                raise SourceError(f"{request.at}: expected a connection to {host} that can be trusted, found: {error}") from None
            else:
                if answer.status not in _AGAIN:
                    return answer
                headers = answer.headers
                found = refusal(answer)
                failure = f"{request.at}: expected {request.wanted} from {host}, found {found}"
                silence = _refused(answer, found)
            if not self._is_tried_again(question, silence, tries, headers, most):
                raise SourceError(failure)

    def read(self, request: Request) -> tuple[Answer, bytes]:
        """Ask for something small, and return the answer and its whole body.

        Raises:
            SourceError: the registry refuses, sends too much, or no whole answer came after all tries.
        """
        tries = self.tries(f"{request.endpoint}{request.path}")
        while True:
            with self.open(request, tries) as answer:
                try:
                    return answer, answer.read(LARGEST_DOCUMENT, request.at)
                except LostError as error:
                    failure = f"{request.at}: expected {request.wanted} from {request.endpoint.host}, found only a part of it ({error})"
            if not tries.again():
                raise SourceError(failure)

    def close(self) -> None:
        """Close all connections."""
        self.connections.close()

    def _authorized(self, request: Request) -> Answer:
        """Send a request with what shows who is asking, and once more if the registry wants to see something else."""
        proof = self._authentication.known(request.endpoint, request.at)
        answer = self._sent(request, proof)
        if answer.status == _UNAUTHORIZED and (challenges := answer.challenges):
            found = refusal(answer)
            better = self._authentication.after_refusal(request.endpoint, challenges, proof, request.at)
            if better is None:
                raise SourceError(f"{request.at}: expected {request.wanted} from {request.endpoint.host}, found {found}")
            proof = better
            answer = self._sent(request, proof)
        if answer.status in _GOOD or answer.status in request.taken or answer.status in _AGAIN:
            return answer
        error = AbsentError if answer.status == _ABSENT else SourceError
        raise error(f"{request.at}: expected {request.wanted} from {request.endpoint.host}, found {refusal(answer)}")

    def _sent(self, request: Request, proof: str | None) -> Answer:
        """Send a request by TLS; a registry that may be insecure by what it understands (spec Q4)."""
        host = request.endpoint.host
        if not request.endpoint.is_insecure:
            return self._followed(request, f"https://{host}{request.path}", proof)
        if known := self._schemes.get(host):
            return self._followed(request, f"{known}://{host}{request.path}", proof)
        try:
            answer = self._followed(request, f"https://{host}{request.path}", proof)
            self._schemes[host] = "https"
        except (RejectedError, LostError) as error:
            answer = self._followed(request, f"http://{host}{request.path}", proof)
            if answer.status == _BAD_REQUEST:
                # So a server answers that understands TLS only, of which the first connection was lost.
                answer.close()
                raise LostError(str(error)) from None
            self._schemes[host] = "http"
        return answer

    def _followed(self, request: Request, url: str, proof: str | None) -> Answer:
        """Send a request, and follow where the answer leads; what shows who is asking goes to the registry itself only."""
        home = origin(url, request.at)
        for _ in range(_MOST_REDIRECTS + 1):
            place = origin(url, request.at)
            shown = {"Authorization": proof} if proof and place == home else {}
            headers = {**request.headers, **shown}
            answer = self._asked(request.method, url, headers, is_insecure=request.endpoint.is_insecure, at=request.at)
            target = answer.headers.get("Location", "")
            if answer.status not in _REDIRECTS or not target:
                return answer
            answer.close()
            url = _led_to(url, target, request.at)
            if place[0] == "https" and origin(url, request.at)[0] != "https" and not request.endpoint.is_insecure:
                raise SourceError(f"{request.at}: expected to be led to an address that begins with https://, found another one")
        raise SourceError(f"{request.at}: expected up to {_MOST_REDIRECTS} redirects, found more")

    def _asked(  # noqa: PLR0913 - a request
        self, method: str, url: str, headers: Mapping[str, str], *, is_insecure: bool, at: str, body: bytes | None = None
    ) -> Answer:
        """Send a request, unless its host is left alone, and note whether that answers (spec Q16)."""
        host = urlsplit(url).netloc
        see = partial(self._breaker.see, host, at)
        see()
        try:
            answer = self.connections.send(method, url, headers, is_insecure=is_insecure, at=at, body=body, see=see)
        except LostError as error:
            error.host = host
            raise
        # To ask who is asking is not to answer: a registry that then says to come later does so for each repository.
        if answer.status not in (_TOO_MANY, _UNAUTHORIZED):
            self._breaker.answered(host)
        return answer

    def _is_tried_again(
        self, question: Question, failure: Failure | None, tries: Tries, headers: Mapping[str, str], most: int | None = None
    ) -> bool:
        """Pause after a failed try, and return whether there is to be another one."""
        if failure and self._breaker.is_hopeless(question, failure):
            return False
        if tries.again(headers, most):
            return True
        if failure:
            self._breaker.ended(question, failure)
        return False

    def _ask_for_token(self, endpoint: Endpoint, asked: TokenRequest, at: str) -> bytes:
        """Ask a server of tokens, again and again where that may help; it leads nowhere else."""
        host = urlsplit(asked.url).netloc
        tries = self.tries(f"{endpoint} {host}")
        question = self._breaker.question(tries.subject)
        while True:
            headers: Mapping[str, str] = {}
            try:
                with self._asked(
                    asked.method, asked.url, asked.headers, is_insecure=endpoint.is_insecure, at=at, body=asked.body
                ) as answer:
                    if answer.status in _GOOD:
                        return answer.read(LARGEST_DOCUMENT, at)
                    headers = answer.headers
                    found = refusal(answer, asked.secrets)
                    failure = f"{at}: expected a token from {host}, found {found}"
                    silence = _refused(answer, found)
                    if answer.status not in _AGAIN:
                        raise SourceError(failure)
            except LostError as error:
                failure = f"{at}: expected a token from {host}, found no answer ({error})"
                silence = _silence(error)
            except RejectedError as error:
                raise SourceError(f"{at}: expected a connection to {host} that can be trusted, found: {error}") from None
            if not self._is_tried_again(question, silence, tries, headers):
                raise SourceError(failure)


def _silence(error: LostError) -> Failure | None:
    """Return what a lost answer says of its host; None where the host said something."""
    return Failure(error.host, str(error)) if error.host else None


def _refused(answer: Answer, found: str) -> Failure | None:
    """Return what an answer says of its host; None unless it is only that the host wants to be left alone."""
    if answer.status != _TOO_MANY:
        return None
    return Failure(urlsplit(answer.url).netloc, found, seconds_asked_for(answer.headers) or 0.0)


def _led_to(url: str, target: str, at: str) -> str:
    try:
        return urljoin(url, target).partition("#")[0]
    except ValueError:
        raise SourceError(f"{at}: expected to be led to an address, found something else") from None
