from __future__ import annotations

from cstore.verification.tally import Tally


def test_there_is_one_problem_of_a_kind_with_the_first_examples() -> None:
    tally = Tally()
    for number in range(5):
        tally.add("V63", b"file-%d" % number, "expected nothing, found something")
    tally.add("V61", b"", "odd")
    assert ("V63" in tally, "V64" in tally) == (True, False)
    first, second = tally.problems("a" * 64, "overlay/a/diff")
    assert (first.code, first.subject, first.path, first.said) == ("V61", f"layer {'a' * 64}", "overlay/a/diff", "the top directory: odd")
    assert second.said == "; ".join([*(f"file-{number}: expected nothing, found something" for number in range(3)), "and 2 more"])


def test_names_that_are_no_text_and_long_ones_can_be_told() -> None:
    tally = Tally()
    tally.add("V63", b"\xff\x1b" + b"x" * 5000, "odd")
    (found,) = tally.problems("a", "b")
    assert found.said.startswith("\\xff\\x1bxxx")
    assert len(found.said) < 300
