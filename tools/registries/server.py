"""A real docker-registry on the loopback, filled from OCI layouts.

    with Registry(tmp_path / "registry") as registry:
        write_layout(tmp_path / "image", {"v1": Image(...)})              # tests/images.py makes images, tools/layout.py does
        registry.put("atlas/app", tmp_path / "image")                    # each tag of the layout becomes one there
        registry.tag("atlas/app", "v1", "v2")
        with registry.registries() as asked:                             # cstore's own Registries, which know that it is insecure
            publishing(store, registries=asked) ...
        environment = {**os.environ, **registry.environment(tmp_path)}   # the same for `cstore` as a program

With `users={"alice": "secret"}` it asks for a password (htpasswd), with `tokens=TokenServer(...)` for a token.
Storage is a directory, `registry.storage`; `registry.log` says what was asked. It needs the program docker-registry.
"""

from __future__ import annotations

import base64
import json
import os
import socket
import ssl
import subprocess
import time
import urllib.error
import urllib.request
from typing import TYPE_CHECKING, Any, Self
from urllib.parse import urlsplit

from cstore.model.remote import RemoteName
from cstore.registry.configuration import Configuration
from cstore.registry.credentials import Credentials, Login
from cstore.registry.registries import Registries
from cstore.registry.rule import Rule

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path

    from tools.registries.tokens import TokenServer

__all__ = ["Registry", "environment_for", "insecure", "registries_of"]

_SECONDS = 30
_TAG = "org.opencontainers.image.ref.name"


def insecure(*addresses: str) -> Configuration:
    """Return a configuration in which these registries, HOST:PORT, need no TLS."""
    return Configuration(tuple(Rule(prefix=address, is_insecure=True) for address in addresses))


def registries_of(*addresses: str, **options: Any) -> Registries:  # noqa: ANN401 - those of Registries
    """Return Registries that know these, HOST:PORT, as insecure ones; by default without credentials, a cache and pauses."""
    usual = {"configuration": insecure(*addresses), "credentials": Credentials(), "pause": lambda _seconds: None}
    return Registries(**{**usual, **options})


class Registry:
    """A docker-registry that keeps its blobs in a directory.

    Args:
        place: a directory that is made.
        users: their passwords; without any, nobody is asked for one.
        tokens: the server whose tokens it wants; it is not ended with the registry.
        certificate: a file with a certificate, beside it `.key` in place of its ending: then it speaks TLS.
        schema_1: whether it takes manifests of schema 1.
        notified: a URL that it tells of what happens, and the header Authorization that it shows there.
        storage: that of another registry, with all that is in it.
    """

    def __init__(  # noqa: PLR0913 - keywords, each of them one thing to choose
        self,
        place: Path,
        *,
        users: Mapping[str, str] | None = None,
        tokens: TokenServer | None = None,
        certificate: Path | None = None,
        schema_1: bool = False,
        notified: tuple[str, str] | None = None,
        storage: Path | None = None,
    ) -> None:
        place.mkdir()
        self.storage = storage or place / "storage"
        self._place = place
        self._users = dict(users or {})
        self._tokens = tokens
        self._scheme = "https" if certificate else "http"
        with socket.socket() as free:
            free.bind(("127.0.0.1", 0))
            self.address = f"127.0.0.1:{free.getsockname()[1]}"
        self._configure(certificate, notified, schema_1=schema_1)

    def _configure(self, certificate: Path | None, notified: tuple[str, str] | None, *, schema_1: bool) -> None:
        settings: dict[str, Any] = {
            "version": "0.1",
            "log": {"accesslog": {"disabled": False}},
            "storage": {"filesystem": {"rootdirectory": str(self.storage)}, "delete": {"enabled": True}},
            "http": {"addr": self.address},
            "compatibility": {"schema1": {"enabled": schema_1}},
        }
        if self._users:
            import bcrypt  # noqa: PLC0415 - what needs no passwords works without it

            lines = [f"{user}:{bcrypt.hashpw(password.encode(), bcrypt.gensalt(4)).decode()}\n" for user, password in self._users.items()]
            (self._place / "htpasswd").write_text("".join(lines))
            settings["auth"] = {"htpasswd": {"realm": "registry, of tests", "path": str(self._place / "htpasswd")}}
        if notified:
            told = {"name": "tests", "url": notified[0], "headers": {"Authorization": [notified[1]]}}
            settings["notifications"] = {"endpoints": [{**told, "timeout": "5s", "threshold": 5, "backoff": "100ms"}]}
        if self._tokens:
            settings["auth"] = {"token": self._tokens.settings}
        if certificate:
            settings["http"]["tls"] = {"certificate": str(certificate), "key": str(certificate.with_suffix(".key"))}
        (self._place / "config.yml").write_text(json.dumps(settings))

    def __enter__(self) -> Self:
        host, _, port = self.address.partition(":")
        with (self._place / "log").open("ab") as log:
            environment = {"PATH": os.environ.get("PATH", ""), "LANG": "C.UTF-8"}
            command = ["docker-registry", "serve", str(self._place / "config.yml")]
            self._process = subprocess.Popen(command, env=environment, stdout=log, stderr=log)
        end = time.monotonic() + _SECONDS
        while time.monotonic() < end and self._process.poll() is None:
            with socket.socket() as client:
                if client.connect_ex((host, int(port))) == 0:
                    return self
            time.sleep(0.02)
        self.__exit__()
        raise RuntimeError(f"docker-registry does not answer:\n{self.log}")

    def __exit__(self, *_error: object) -> None:
        self._process.terminate()
        self._process.wait()

    @property
    def log(self) -> str:
        """What it has logged, with a line for each request."""
        return (self._place / "log").read_text()

    def name(self, text: str) -> RemoteName:
        """Return a REPOSITORY[:TAG][@DIGEST] of this registry as a name."""
        return RemoteName.parse(f"docker://{self.address}/{text}")

    def registries(self, **options: Any) -> Registries:  # noqa: ANN401 - those of Registries
        """Return Registries that can ask it, with its first user's password where it wants one; see `registries_of`."""
        logins = {self.address: Login(*next(iter(self._users.items())))} if self._users else {}
        return registries_of(self.address, **{"credentials": Credentials(logins), **options})

    def environment(self, place: Path) -> dict[str, str]:
        """Return what lets `cstore`, skopeo and podman ask it without TLS; files for that are written below a directory."""
        return environment_for(place, self.address)

    def put(self, repository: str, layout: Path) -> dict[str, str]:
        """Put all tagged images of an OCI layout into a repository as they are, and return the digests of their manifests by tag."""
        put = {}
        for entry in json.loads((layout / "index.json").read_bytes())["manifests"]:
            tag = entry.get("annotations", {}).get(_TAG, "latest")
            self._put_below(repository, layout, entry, tag)
            put[tag] = str(entry["digest"])
        return put

    def tag(self, repository: str, tag: str, *new_tags: str) -> None:
        """Give further tags to an image."""
        data, media_type = self.manifest(repository, tag)
        for new_tag in new_tags:
            self.put_manifest(repository, new_tag, data, media_type)

    def manifest(self, repository: str, identifier: str) -> tuple[bytes, str]:
        """Return a manifest and its media type."""
        kinds = "application/vnd.oci.image.{}.v1+json", "application/vnd.docker.distribution.manifest.{}v2+json"
        accept = ", ".join([*(kinds[0].format(kind) for kind in ("index", "manifest")), *(kinds[1].format(kind) for kind in ("list.", ""))])
        answer = self._ask("GET", f"/v2/{repository}/manifests/{identifier}", headers={"Accept": accept})
        return answer[1], answer[0]["Content-Type"]

    def put_manifest(self, repository: str, identifier: str, data: bytes, media_type: str) -> None:
        """Put a manifest under a tag or its digest; its blobs must be there."""
        self._ask("PUT", f"/v2/{repository}/manifests/{identifier}", data, {"Content-Type": media_type})

    def put_blob(self, repository: str, digest: str, data: bytes) -> None:
        """Put a blob."""
        headers, _ = self._ask("POST", f"/v2/{repository}/blobs/uploads/", b"")
        parts = urlsplit(headers["Location"])
        query = f"{parts.query}&digest={digest}".lstrip("&")
        self._ask("PUT", f"{parts.path}?{query}", data, {"Content-Type": "application/octet-stream"})

    def untag(self, repository: str, tag: str) -> None:
        """Take a tag away, as the registry's own clean-up does."""
        place = self.storage / "docker/registry/v2/repositories" / repository / "_manifests/tags" / tag
        subprocess.run(["rm", "-r", str(place)], check=True)

    def blob_path(self, digest: str) -> Path:
        """Return the file of a blob."""
        algorithm, _, value = digest.partition(":")
        return self.storage / "docker/registry/v2/blobs" / algorithm / value[:2] / value / "data"

    def _put_below(self, repository: str, layout: Path, entry: Mapping[str, Any], identifier: str) -> None:
        data = _blob(layout, entry["digest"])
        document = json.loads(data)
        for below in document.get("manifests", []):
            self._put_below(repository, layout, below, below["digest"])
        for blob in [document["config"], *document["layers"]] if "layers" in document else []:
            if not self._has(repository, blob["digest"]):
                self.put_blob(repository, blob["digest"], _blob(layout, blob["digest"]))
        kind = "index" if "manifests" in document else "manifest"
        self.put_manifest(repository, identifier, data, document.get("mediaType") or f"application/vnd.oci.image.{kind}.v1+json")

    def _has(self, repository: str, digest: str) -> bool:
        try:
            self._ask("HEAD", f"/v2/{repository}/blobs/{digest}")
        except urllib.error.HTTPError:
            return False
        return True

    def _ask(
        self, method: str, path: str, data: bytes | None = None, headers: Mapping[str, str] | None = None
    ) -> tuple[Mapping[str, str], bytes]:
        request = urllib.request.Request(f"{self._scheme}://{self.address}{path}", data, dict(headers or {}), method=method)  # noqa: S310
        if self._users:
            user, password = next(iter(self._users.items()))
            request.add_header("Authorization", f"Basic {base64.b64encode(f'{user}:{password}'.encode()).decode()}")
        if self._tokens:
            repository = path.removeprefix("/v2/").rpartition("/blobs/" if "/blobs/" in path else "/manifests/")[0]
            request.add_header("Authorization", f"Bearer {self._tokens.token(repository, ('pull', 'push'))}")
        trusting = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
        trusting.check_hostname, trusting.verify_mode = False, ssl.CERT_NONE
        with urllib.request.urlopen(request, timeout=_SECONDS, context=trusting) as answer:  # noqa: S310 - its own address
            return answer.headers, answer.read()


def environment_for(place: Path, *addresses: str) -> dict[str, str]:
    """Return what lets `cstore`, skopeo and podman ask registries without TLS, and have a cache of their own below a directory."""
    conf = place / "registries.conf"
    conf.write_text("".join(f'[[registry]]\nlocation = "{address}"\ninsecure = true\n' for address in addresses))
    (place / "auth.json").write_text("{}")
    return {"CONTAINERS_REGISTRIES_CONF": str(conf), "REGISTRY_AUTH_FILE": str(place / "auth.json"), "XDG_CACHE_HOME": str(place / "cache")}


def _blob(layout: Path, digest: str) -> bytes:
    algorithm, _, value = digest.partition(":")
    return (layout / "blobs" / algorithm / value).read_bytes()
