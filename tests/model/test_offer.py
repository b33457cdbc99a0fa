from __future__ import annotations

import pytest

from cstore.errors import FormatError
from cstore.model.offer import ALL_OFFERS, Offer, parse_offers


def test_offers_are_read() -> None:
    assert parse_offers("podman, flat") == {Offer.PODMAN, Offer.FLAT}
    assert parse_offers("podman,layers,flat,metadata") == ALL_OFFERS


@pytest.mark.parametrize("given", ["", "thin", "podman,,flat"])
def test_what_is_no_offer_is_refused(given: str) -> None:
    with pytest.raises(FormatError) as caught:
        parse_offers(given)
    assert str(caught.value).startswith("forms: expected some of podman, layers, flat, metadata, found ")
