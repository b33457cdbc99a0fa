from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from threading import Thread
from typing import TYPE_CHECKING

import pytest
from attrs import define, field

from cstore import waiting
from cstore.errors import SourceError
from cstore.model.digest import Digest
from cstore.model.remote import RemoteName
from cstore.registry.breaker import Breaker, Failure, Question
from cstore.registry.configuration import Configuration
from cstore.registry.patience import Patience
from cstore.registry.rule import Mirror, Rule
from tests.images import digest_of
from tests.registries import IMAGE
from tools.registries.proxy import Fault, Proxy
from tools.registries.server import registries_of

if TYPE_CHECKING:
    from cstore.registry.registries import Registries
    from tools.registries.server import Registry

SILENT = Failure("a.org", "timed out")
PATIENCE = Patience(rest=60, tries=5)


@define
class Ground:
    """A breaker with a clock."""

    time: float = 0.0
    breaker: Breaker = field(init=False)

    def __attrs_post_init__(self) -> None:
        self.breaker = Breaker(PATIENCE, lambda: self.time)

    def begin(self, subject: str) -> Question:
        return self.breaker.question(subject)

    def fails(self, question: Question, failure: Failure = SILENT, tries: int = 5) -> bool:
        """Have all tries of a question fail, unless that is hopeless; return whether it is."""
        if any(self.breaker.is_hopeless(question, failure) for _ in range(tries)):
            return True
        self.breaker.ended(question, failure)
        return False

    def left_alone(self, host: str = "a.org") -> str:
        """Return what is said where a host is left alone."""
        try:
            self.breaker.see(host, "x")
        except SourceError as error:
            return str(error)
        return ""


@pytest.fixture
def ground() -> Ground:
    return Ground()


def opened(ground: Ground, wait: float | None = None) -> Ground:
    """Return a ground on which a host is left alone."""
    failure = Failure("a.org", "timed out", wait)
    assert not ground.fails(ground.begin("1"), failure)
    assert ground.breaker.is_hopeless(ground.begin("2"), failure)
    return ground


def test_one_question_does_not_speak_for_its_host(ground: Ground) -> None:
    """Spec Q16."""
    for _ in range(3):
        assert not ground.fails(ground.begin("1"))
        ground.time += 100
    assert ground.left_alone() == ""


def test_after_all_tries_of_one_a_try_of_another_is_enough(ground: Ground) -> None:
    """Spec Q16."""
    opened(ground)
    assert ground.left_alone() == "x: expected an answer from a.org, which did not answer before (timed out)"
    assert ground.left_alone("b.org") == ""


def test_what_is_under_way_ends_at_its_next_failure(ground: Ground) -> None:
    under_way = ground.begin("3")
    assert not ground.breaker.is_hopeless(under_way, SILENT)
    opened(ground)
    assert ground.breaker.is_hopeless(under_way, SILENT)


def test_another_answer_during_the_tries_speaks_for_the_host(ground: Ground) -> None:
    """Spec Q16."""
    question = ground.begin("1")
    ground.breaker.answered("a.org")
    ground.fails(question)
    assert not ground.fails(ground.begin("2"))
    assert ground.left_alone() == ""


def test_an_answer_of_another_host_says_nothing(ground: Ground) -> None:
    question = ground.begin("1")
    ground.breaker.answered("b.org")
    ground.fails(question)
    assert ground.breaker.is_hopeless(ground.begin("2"), SILENT)


def test_silence_to_several_need_not_last_for_all_tries_of_one(ground: Ground) -> None:
    """Spec Q16: for as long as the host is then left alone, and as many tries as a question has."""
    some = [ground.begin(str(number)) for number in range(4)]
    assert [ground.breaker.is_hopeless(question, SILENT) for question in some] == [False] * 4
    ground.time = 59
    assert not ground.breaker.is_hopeless(some[1], SILENT)
    ground.time = 60
    assert not ground.breaker.is_hopeless(some[0], SILENT)
    assert ground.breaker.is_hopeless(some[1], SILENT)


def test_a_host_that_wants_pauses_gets_all_tries(ground: Ground) -> None:
    some = [ground.begin(str(number)) for number in range(4)]
    for _ in range(4):
        assert not any(ground.breaker.is_hopeless(question, Failure("a.org", "429", 20)) for question in some)
        ground.time += 20


def test_what_failed_long_ago_says_nothing(ground: Ground) -> None:
    ground.fails(ground.begin("1"))
    ground.time = 301
    assert not ground.breaker.is_hopeless(ground.begin("2"), SILENT)


@pytest.mark.parametrize(("wait", "rest"), [(None, 60), (0, 60), (100, 100), (999_999_999, 3600)])
def test_for_how_long(ground: Ground, wait: float | None, rest: float) -> None:
    """Spec Q16."""
    opened(ground, wait)
    ground.time = rest - 1
    assert ground.left_alone()
    ground.time = rest
    assert not ground.left_alone()


def from_another_thread(ground: Ground) -> str:
    said: list[str] = []
    thread = Thread(target=lambda: said.append(ground.left_alone()))
    thread.start()
    thread.join()
    return said[0]


def test_one_is_let_through_at_a_time(ground: Ground) -> None:
    """Spec Q16."""
    opened(ground)
    ground.time = 60
    assert not ground.left_alone()
    assert from_another_thread(ground)
    assert not ground.left_alone()
    assert ground.breaker.is_hopeless(ground.begin("2"), SILENT)
    assert ground.left_alone()
    ground.time = 120
    assert not ground.left_alone()
    ground.breaker.answered("a.org")
    assert not from_another_thread(ground)


def test_one_that_is_let_through_and_gives_up_does_not_stop_others(ground: Ground) -> None:
    opened(ground)
    ground.time = 60
    assert not ground.left_alone()
    ground.time = 120
    assert not from_another_thread(ground)


def asked(registries: Registries, address: str, count: int, threads: int = 4) -> list[str]:
    """Ask for images of as many repositories, several at once, and return what went wrong with each, sorted."""

    def ask(number: int) -> str:
        try:
            registries.digest(RemoteName(address, f"atlas/app{number}", "v1"))
        except SourceError as error:
            return str(error).replace(address, "HOST").partition(": ")[2]
        return ""

    with ThreadPoolExecutor(threads) as those:
        return sorted(those.map(ask, range(count)))


LATER = Fault("", status=429, headers={"Retry-After": "7"}, times=None)
SHORT = Patience(connect=2, silence=0.2, head=20, first_pause=0.01, rest=600)


def test_a_registry_that_wants_to_be_asked_later_is_left_alone(registry: Registry) -> None:
    """Spec Q16: how much is asked does not grow with what is wished."""
    with Proxy(registry.address, LATER) as proxy, registries_of(proxy.address) as registries:
        said = asked(registries, proxy.address, 40)
    assert {*said} == {
        "expected a manifest from HOST, found status 429 (Too Many Requests)",
        "expected an answer from HOST, which did not answer before (status 429 (Too Many Requests))",
    }
    assert len(proxy.seen) <= 30


def test_a_silent_registry_is_left_alone(registry: Registry) -> None:
    """Spec Q16."""
    silent = Fault("", status=200, drip=20, times=None)
    with (
        Proxy(registry.address, silent) as proxy,
        registries_of(proxy.address, patience=SHORT, pause=waiting.pause, most_per_host=2) as registries,
    ):
        said = asked(registries, proxy.address, 40)
    assert {*said} == {
        "expected an answer from HOST, found none (timed out)",
        "expected an answer from HOST, which did not answer before (timed out)",
    }
    assert len(proxy.seen) <= 30


@pytest.mark.parametrize("fault", [{"drop": True}, {"status": 503}, {"status": 429}], ids=str)
def test_one_broken_path_does_not_spoil_its_host(registry: Registry, fault: dict[str, int]) -> None:
    """Spec Q16."""
    with Proxy(registry.address, Fault("HEAD .*/app0/", times=None, **fault)) as proxy, registries_of(proxy.address) as registries:  # type: ignore[arg-type]  # by name
        said = asked(registries, proxy.address, 12)
    assert len([text for text in said if "found status 404" in text]) == 11


def test_a_registry_that_first_asks_who_is_asking(registry: Registry) -> None:
    """To ask that is no answer: each repository has a token of its own."""
    given = Fault("", status=200, body=b'{"token": "t"}', times=None)
    with Proxy(registry.address, given) as tokens, Proxy(registry.address) as proxy, registries_of(proxy.address) as registries:
        headers = {"WWW-Authenticate": f'Bearer realm="http://{tokens.address}/token"'}
        proxy.faults += [
            Fault("/v2/", status=401, headers=headers, unless_authorized=True, times=None),
            LATER,
        ]
        said = asked(registries, proxy.address, 3, threads=1)
    assert said[0] == "expected a manifest from HOST, found status 429 (Too Many Requests)"
    assert said[2] == "expected an answer from HOST, which did not answer before (status 429 (Too Many Requests))"


def test_a_host_to_which_a_registry_leads_is_left_alone_itself(registry: Registry) -> None:
    """Spec Q16: what the registry itself has, it still gives."""
    with Proxy(registry.address, LATER) as other, Proxy(registry.address) as proxy, registries_of(proxy.address) as registries:
        proxy.faults.append(Fault("GET .*/blobs/", redirect=other.address, times=None))
        name = RemoteName(proxy.address, "atlas/app", "v1")
        said = []
        for blob in (*IMAGE.blobs, IMAGE.blobs[0]):
            with pytest.raises(SourceError) as error:
                registries.blob(name, Digest.parse(digest_of(blob)), len(blob))
            said.append(str(error.value).partition(": expected ")[2].replace(other.address, "OTHER").replace(proxy.address, "HOST"))
        assert said[0] == "a blob from HOST, found status 429 (Too Many Requests)"
        assert said[-1] == "an answer from OTHER, which did not answer before (status 429 (Too Many Requests))"
        registries.digest(name)


def test_after_a_mirror_that_is_left_alone_the_registry_is_asked(registry: Registry) -> None:
    with Proxy(registry.address, LATER) as mirror, Proxy(registry.address) as proxy:
        rule = Rule(
            prefix=proxy.address, location=proxy.address, is_insecure=True, mirrors=(Mirror(location=mirror.address, is_insecure=True),)
        )
        with registries_of(configuration=Configuration((rule,))) as registries:
            for _ in range(2):
                registries.digest(RemoteName(proxy.address, "atlas/app", "v1"))
                with pytest.raises(SourceError, match="found status 404"):
                    registries.digest(RemoteName(proxy.address, "atlas/other", "v1"))
        assert (len(mirror.seen), len(proxy.seen)) == (3, 4)
