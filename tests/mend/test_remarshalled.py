from __future__ import annotations

import json

import pytest

from cstore.errors import FormatError
from cstore.mend.remarshalled import as_manifest
from cstore.model.manifest import Manifest
from tests.converter import remarshalled
from tests.images import Image, json_of, tar


@pytest.mark.parametrize("family", ["oci", "docker"])
def test_it_is_written_anew_with_the_same_descriptors(family: str) -> None:
    image = Image(layers=(tar(), tar()), family=family)
    data, is_rewritten = as_manifest(json_of(remarshalled(image.manifest)), "manifest")
    assert (json.loads(data), is_rewritten) == (image.manifest, True)
    assert Manifest.from_dict(json.loads(data)) == Manifest.from_dict(image.manifest)
    assert as_manifest(json_of(remarshalled(image.manifest)), "manifest")[0] == data


@pytest.mark.parametrize("family", ["oci", "docker"])
def test_a_media_type_that_the_registry_left_out_follows_from_the_config(family: str) -> None:
    image = Image(layers=(tar(),), family=family)
    data, _ = as_manifest(json_of({**remarshalled(image.manifest), "MediaType": ""}), "manifest")
    assert json.loads(data)["mediaType"] == image.media_type("manifest")


@pytest.mark.parametrize("data", [json_of(Image().manifest), b"{}", b'{ "any": [] }'], ids=["a manifest", "nothing", "anything"])
def test_other_bytes_stay_as_they_are(data: bytes) -> None:
    assert as_manifest(data, "manifest") == (data, False)


@pytest.mark.parametrize(
    ("data", "said"),
    [
        (b"[]", "manifest: expected an object, found an array"),
        (b"{", "manifest: expected JSON, found 1 bytes that are none"),
        (b'{"SchemaVersion": 2}', "manifest.Config: expected an object, found nothing"),
        (
            b'{"SchemaVersion": 2, "Config": {"Digest": "x", "Size": 1}}',
            'manifest.Config.Digest: expected a digest, found "x"',
        ),
    ],
)
def test_what_is_none_is_refused(data: bytes, said: str) -> None:
    with pytest.raises(FormatError) as caught:
        as_manifest(data, "manifest")
    assert str(caught.value).startswith(said)
