"""Many questions to registries at once, each with its answer or its error."""

from __future__ import annotations

from typing import TYPE_CHECKING, TypeVar

from cstore.errors import StoreError
from cstore.progress import Progress, silent
from cstore.source.abreast import Work, abreast

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

__all__ = ["AT_ONCE", "ask"]

K = TypeVar("K")
T = TypeVar("T")

AT_ONCE = 8
"""How many questions are asked at once: what is done meanwhile is mostly to wait. Each host has a bound of its own."""


def ask(name: str, things: str, questions: Mapping[K, Callable[[], T]], progress: Progress = silent) -> dict[K, T | StoreError]:
    """Ask all questions, several at once, and return the answer to each, or the error.

    Args:
        name: what is done, as `Progress` takes it.
        things: what it is done to.
        questions: by what they are about.
        progress: is told of all of them as one work, whose steps are the answers.
    """
    if not questions:
        return {}
    advance = progress(name, things, len(questions))

    def each(_name: str, _subject: str, _total: int) -> Callable[[int], object]:
        advance(1)
        return lambda _size: advance(0)

    def work(question: Callable[[], T]) -> Work[T | StoreError]:
        def run(_advance: Callable[[int], object]) -> T | StoreError:
            try:
                return question()
            except StoreError as error:
                return error

        return Work(name, things, 1, run)

    answers = abreast([work(question) for question in questions.values()], AT_ONCE, each)
    return dict(zip(questions, answers, strict=True))
