"""What is known of all that is wished, after rounds over everything and those over a few names (spec Z9, Y17)."""

from __future__ import annotations

from typing import TYPE_CHECKING

from attrs import evolve, frozen

from cstore.sync.report import ImageState, Outcome, RoundReport

if TYPE_CHECKING:
    from collections.abc import Iterable

__all__ = ["Known"]


@frozen(kw_only=True)
class Known:
    """What the rounds of a process have found out so far.

    A round over a few names makes known what became of these. Whether all is well only a round over everything can tell.
    """

    whole: RoundReport | None = None
    """The last round over everything that came to an end without an error."""
    partial: RoundReport | None = None
    """The last one over a few names that did so since then."""
    images: tuple[ImageState, ...] = ()
    """Ordered by name and platform."""

    def with_round(self, report: RoundReport) -> Known:
        """Return what is known after one more round."""
        if report.only is None:
            return Known(whole=report, images=_merged((), report.images, self.images))
        stay = (image for image in self.images if image.outcome is not Outcome.REMOVED)
        return evolve(self, partial=report, images=_merged(stay, report.images, self.images))

    @property
    def latest(self) -> RoundReport | None:
        """The last round of either kind."""
        return self.partial or self.whole

    @property
    def problems(self) -> tuple[str, ...]:
        """Those of the last round over everything, and what the last one over a few names met besides."""
        return tuple(dict.fromkeys(problem for report in self._reports() for problem in report.problems))

    @property
    def remarks(self) -> tuple[str, ...]:
        """The same of remarks."""
        return tuple(dict.fromkeys(remark for report in self._reports() for remark in report.remarks))

    def _reports(self) -> Iterable[RoundReport]:
        return filter(None, (self.whole, self.partial))


def _merged(stay: Iterable[ImageState], after: Iterable[ImageState], before: Iterable[ImageState]) -> tuple[ImageState, ...]:
    """Return what is known of images; of a publish that a later round found in place, when and with which revision that was stays known.

    Args:
        stay: those of before that are known as they were, unless they are among the new ones.
        after: the new ones.
        before: all that were known.
    """
    known = {(image.name, image.platform): image for image in before}
    merged = {(image.name, image.platform): image for image in stay}
    for image in after:
        key = (image.name, image.platform)
        old = known.get(key)
        same = old is not None and image.published_digest is not None and old.published_digest == image.published_digest
        if old is not None and same and image.published is None and image.revision is None:
            merged[key] = evolve(image, revision=old.revision, published=old.published)
        else:
            merged[key] = image
    return tuple(merged[key] for key in sorted(merged))
