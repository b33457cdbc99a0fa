"""What is known after rounds over everything and over a few names."""

from __future__ import annotations

from typing import TYPE_CHECKING

from attrs import evolve
from hypothesis import given
from hypothesis import strategies as st

from cstore.sync.known import Known
from cstore.sync.report import Outcome
from tests.sync.reports import BEHIND, CURRENT, IMAGES, NEW, REMOVED, report

if TYPE_CHECKING:
    from cstore.sync.report import ImageState, RoundReport

SOME = frozenset(["registry.example.org/atlas"])


@st.composite
def rounds(draw: st.DrawFn) -> RoundReport:
    numbers = draw(st.lists(st.integers(0, 4), max_size=4, unique=True))
    problems = draw(st.lists(st.sampled_from("xyz"), unique=True))
    only = draw(st.sampled_from([None, SOME]))

    def image(number: int) -> ImageState:
        return evolve(CURRENT, name=f"registry.example.org/a:{number}", outcome=draw(st.sampled_from(Outcome)))

    return report(images=tuple(map(image, numbers)), only=only, problems=tuple(problems))


def test_before_any_round_nothing_is_known() -> None:
    assert (Known().latest, Known().images, Known().problems, Known().remarks) == (None, (), (), ())


def test_a_round_over_names_tells_of_these_and_what_went_is_told_once() -> None:
    whole = Known().with_round(report(remarks=("odd",)))
    moved = evolve(BEHIND, outcome=Outcome.UPDATED, published_digest=NEW)
    part = whole.with_round(report(number=2, only=SOME, images=(moved,), remarks=("odd", "strange")))
    assert {image.name: image for image in part.images} == {
        image.name: moved if image.name == moved.name else image for image in IMAGES if image != REMOVED
    }
    assert (part.whole, part.latest, part.remarks) == (whole.whole, part.partial, ("odd", "strange"))


@given(st.lists(rounds(), max_size=6))
def test_images_problems_and_the_last_round_over_everything(reports: list[RoundReport]) -> None:
    """Quote: a round over a few names changes what is known of these, and takes no problem away (spec Y17)."""
    known = Known()
    for one in reports:
        before, known = known, known.with_round(one)
        assert known.latest is one
        assert {image.name for image in one.images} <= {image.name for image in known.images}
        assert [image.name for image in known.images] == sorted({image.name for image in known.images})
        if one.only is None:
            assert (known.whole, known.partial, known.problems) == (one, None, one.problems)
            assert len(known.images) == len(one.images)
        else:
            assert known.whole is before.whole
            assert set(known.problems) == {*(before.whole.problems if before.whole else ()), *one.problems}
