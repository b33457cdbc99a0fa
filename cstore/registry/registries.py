"""Registries as sources ask them: tags, digests, documents and blobs, from where the configuration says that they are."""

from __future__ import annotations

import threading
from contextlib import AbstractContextManager, nullcontext
from typing import IO, TYPE_CHECKING, Self, TypeVar

from cstore import waiting
from cstore.errors import ContentError, FormatError, SourceError
from cstore.model.digest import Digest
from cstore.model.manifest import DOCKER_LIST, DOCKER_MANIFEST, LARGEST_DOCUMENT, OCI_INDEX, OCI_MANIFEST
from cstore.progress import Progress, silent
from cstore.registry.cache import Cache
from cstore.registry.certificates import Certificates
from cstore.registry.client import AbsentError, Client, Request
from cstore.registry.configuration import Configuration
from cstore.registry.credentials import Credentials
from cstore.registry.document import Document
from cstore.registry.download import download
from cstore.registry.greeting import moved_to
from cstore.registry.pages import all_tags
from cstore.registry.patience import Patience
from cstore.registry.proxies import Proxies

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping
    from pathlib import Path

    from cstore.model.remote import RemoteName
    from cstore.registry.connections import Answer
    from cstore.registry.endpoint import Endpoint

__all__ = ["Registries"]

T = TypeVar("T")

_KINDS = (OCI_INDEX, DOCKER_LIST, OCI_MANIFEST, DOCKER_MANIFEST)
_ACCEPT = {"Accept": ", ".join(_KINDS)}
_SCHEMA_1 = "application/vnd.docker.distribution.manifest.v1+"
_DIGEST = "Docker-Content-Digest"
_NO_HEAD = (405, 501)
_GOOD = range(200, 300)
_WANTED = "a manifest"


def _nothing() -> None:
    """Do nothing."""


class Registries:
    """All registries, for any number of threads; a context manager that closes itself.

    Args:
        configuration: where names are asked for.
        credentials: of users.
        cache: keeps documents and blobs; None takes a directory that goes at the end. It is closed with this.
        most_per_host: connections to one host at the same time.
        progress: is told of each blob that is downloaded, by one thread at a time; it is not told how that goes on.
        pause: sleeps so many seconds.
        patience: how long is waited, and how often is tried.
        proxies: by which some registries are asked.
    """

    def __init__(  # noqa: PLR0913 - keywords, each of them one thing to choose
        self,
        *,
        configuration: Configuration,
        credentials: Credentials,
        cache: Cache | None = None,
        most_per_host: int = 4,
        progress: Progress = silent,
        pause: Callable[[float], object] = waiting.pause,
        patience: Patience | None = None,
        proxies: Proxies | None = None,
    ) -> None:
        self._configuration = configuration
        self._client = Client(
            certificates=Certificates(configuration.certificates),
            credentials=credentials,
            most_per_host=most_per_host,
            patience=patience or Patience(),
            pause=pause,
            proxies=proxies,
        )
        self._cache = cache or Cache.temporary()
        self._progress = progress
        self._telling = threading.Lock()

    @classmethod
    def usual(  # noqa: PLR0913 - as above
        cls,
        environment: Mapping[str, str],
        home: Path,
        *,
        cache: Cache | None = None,
        most_per_host: int = 4,
        progress: Progress = silent,
        pause: Callable[[float], object] = waiting.pause,
        patience: Patience | None = None,
    ) -> Self:
        """Return those of this machine, with podman's and docker's files in their usual places.

        Args:
            environment: the variables that say where they are, and which proxies there are.
            home: the user's directory.
            cache: as above.
            most_per_host: as above.
            progress: as above.
            pause: as above.
            patience: as above.

        Raises:
            SourceError: a file cannot be read, or a variable names no proxy.
            FormatError: a file is malformed.
        """
        return cls(
            configuration=Configuration.usual(environment, home),
            credentials=Credentials.usual(environment, home),
            cache=cache,
            most_per_host=most_per_host,
            progress=progress,
            pause=pause,
            patience=patience,
            proxies=Proxies.usual(environment),
        )

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_error: object) -> None:
        self.close()

    def close(self) -> None:
        """Close all connections, and remove a temporary cache."""
        self._client.close()
        self._cache.close()

    def keeping(self) -> AbstractContextManager[None]:
        """Have the cache keep all that is asked for in the body, though it be more than its bound; the rest goes at the end."""
        return self._cache.keeping()

    @property
    def requests(self) -> int:
        """How many requests were sent."""
        return self._client.connections.requests

    @property
    def bytes_fetched(self) -> int:
        """How many bytes of bodies came."""
        return self._client.connections.bytes_fetched

    def tags(self, name: RemoteName) -> tuple[str, ...]:
        """Return all tags of a name's repository, in the registry's order; mirrors are not asked, since they may lack some.

        Raises:
            SourceError: the list, or one page of it, cannot be got.
            FormatError: a page is malformed.
        """
        at = f"docker://{name.home}"
        return all_tags(self._client, self._configuration.endpoints(name)[-1], at)

    def moved_to(self, name: RemoteName) -> str | None:
        """Return the host to which a name's registry leads whoever asks; None where it answers itself.

        Raises:
            SourceError: nothing answers there, or no registry.
        """
        return moved_to(self._client, self._configuration.endpoints(name)[-1])

    def digest(self, name: RemoteName) -> Digest:
        """Return the digest that a name has in its registry now: one HEAD, or a GET where that does not tell it.

        Raises:
            SourceError: there is no such image, or the registry cannot be asked.
            ContentError: a name with a digest has another one there.
        """
        return self._first(name, lambda endpoint, at: self._digest_at(endpoint, name, at))

    def has(self, name: RemoteName) -> bool:
        """Whether there is something under a name in its registry now: one HEAD, or a GET where that is not understood. No mirror is asked.

        Raises:
            SourceError: the registry cannot be asked.
            ContentError: a name with a digest has another one there.
        """
        try:
            self._digest_at(self._configuration.endpoints(name)[-1], name, str(name))
        except AbsentError:
            return False
        return True

    def document(self, name: RemoteName, digest: Digest | None = None, size: int | None = None) -> Document:
        """Return a manifest or an image index; what the cache has is not asked for.

        Args:
            name: what is asked for, where no digest is given.
            digest: of another document in the same repository.
            size: its bytes, where they are known.

        Raises:
            SourceError: there is no such document, or the registry cannot be asked.
            ContentError: it is not what its digest says.
        """
        wanted = digest or name.digest
        if size is not None and size > LARGEST_DOCUMENT:
            raise SourceError(f"{name}: expected up to {LARGEST_DOCUMENT} bytes, found a declared size of {size}")
        # Several platforms want the same image index at once.
        with self._cache.alone(wanted) if wanted else nullcontext():
            if wanted and (file := self._cache.open(wanted, size)):
                with file:
                    return Document.read(file.read(), wanted, "")
            return self._first(name, lambda endpoint, at: self._document_at(endpoint, name, wanted, size, at))

    def blob(self, name: RemoteName, digest: Digest, size: int, tick: Callable[[], object] = _nothing) -> IO[bytes]:
        """Return a blob as a file at its beginning; it is downloaded if the cache does not have it.

        Args:
            name: in whose repository it is.
            digest: of its content.
            size: its bytes.
            tick: is called with each part that comes; it raises where the blob is no longer wanted.

        Raises:
            SourceError: there is no such blob, or the registry cannot be asked.
            ContentError: it has another size or digest.
        """
        if file := self._cache.open(digest, size):
            return file
        return self._first(name, lambda endpoint, at: self._blob_at(endpoint, digest, size, f"{at}: blob {digest}", tick))

    def _first(self, name: RemoteName, ask: Callable[[Endpoint, str], T]) -> T:
        """Return what the first of a name's endpoints answers; the last of them is no mirror."""
        *mirrors, home = self._configuration.endpoints(name)
        failures = []
        for mirror in mirrors:
            try:
                return ask(mirror, f"mirror {mirror}")
            except (SourceError, ContentError, FormatError) as error:
                failures.append(str(error))
        try:
            return ask(home, str(name))
        except (SourceError, ContentError) as error:
            if not failures:
                raise
            raise type(error)("; ".join([str(error), *failures])) from None

    def _digest_at(self, endpoint: Endpoint, name: RemoteName, at: str) -> Digest:
        request = Request(
            endpoint=endpoint,
            path=endpoint.path("manifests", name.identifier),
            at=at,
            wanted=_WANTED,
            method="HEAD",
            headers=_ACCEPT,
            taken=_NO_HEAD,
        )
        with self._client.open(request, self._client.tries(f"{endpoint} {request.path}")) as answer:
            told = _told(answer, at) if answer.status in _GOOD else None
        if told is None:
            return self._document_at(endpoint, name, name.digest, None, at).digest
        if name.digest and told != name.digest:
            raise ContentError(f"{at}: expected digest {name.digest}, found {told}")
        return told

    def _document_at(self, endpoint: Endpoint, name: RemoteName, wanted: Digest | None, size: int | None, at: str) -> Document:
        path = endpoint.path("manifests", str(wanted or name.identifier))
        answer, data = self._client.read(Request(endpoint=endpoint, path=path, at=at, wanted=_WANTED, headers=_ACCEPT))
        media_type = answer.headers.get("Content-Type", "").partition(";")[0].strip()
        if media_type.startswith(_SCHEMA_1):
            raise SourceError(f"{at}: expected a manifest of OCI or of Docker's schema 2, found schema 1, which podman no longer writes")
        promised = wanted or _told(answer, at) or Digest.of(data)
        with self._cache.fetched(promised, len(data) if size is None else size, at, lambda file: file.write(data)):
            return Document.read(data, promised, media_type)

    def _blob_at(self, endpoint: Endpoint, digest: Digest, size: int, at: str, tick: Callable[[], object]) -> IO[bytes]:
        def fetch(file: IO[bytes]) -> None:
            with self._telling:
                self._progress("downloading", str(digest), size)
            request = Request(endpoint=endpoint, path=endpoint.path("blobs", str(digest)), at=at, wanted="a blob")
            download(self._client, request, file, size, tick)

        return self._cache.fetched(digest, size, at, fetch)


def _told(answer: Answer, at: str) -> Digest | None:
    """Return the digest that an answer tells, if it does."""
    value = answer.headers.get(_DIGEST)
    if not value:
        return None
    try:
        return Digest.parse(value)
    except FormatError as error:
        raise SourceError(f"{at}: {_DIGEST}: {error.said}") from None
