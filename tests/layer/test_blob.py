from __future__ import annotations

import gzip
import io
import zlib

import pytest
import zstandard
from attrs import evolve

from cstore.errors import ContentError
from cstore.layer import blob
from cstore.layer.blob import BlobReader, Tally
from cstore.model.digest import Digest
from tests.images import compressed, file, tar
from tests.layer.tars import Blob, blob_of, promised

TAR = tar(file("a", bytes(range(256)) * 40), file("b", b"b"))


def read(wanted: Blob) -> bytes:
    return wanted.unpacked(1000)


@pytest.mark.parametrize("compression", ["none", "gzip", "zstd"])
def test_blobs_of_every_compression(compression: str) -> None:
    made = blob_of(TAR, compression)
    assert read(made) == TAR
    reader = made.reader()
    assert reader.compression == compression
    reader.close()


def test_several_gzip_members_are_one_blob() -> None:
    assert read(promised(gzip.compress(TAR[:700]) + gzip.compress(b"") + gzip.compress(TAR[700:]), TAR)) == TAR


def test_several_zstd_frames_and_skippable_ones_are_one_blob() -> None:
    frame = zstandard.ZstdCompressor().compress
    skippable = b"\x50\x2a\x4d\x18" + (5).to_bytes(4, "little") + b"extra"
    assert read(promised(skippable + frame(TAR[:700]) + skippable + frame(TAR[700:]) + skippable, TAR)) == TAR


@pytest.mark.parametrize("data", [b"", b"\x1f", b"\x28\xb5", b"\x50\x2a\x4d", bytes(4), b"\x2a\x4d\x18\x50"])
def test_short_and_strange_beginnings_are_plain_tars(data: bytes) -> None:
    assert read(promised(data, data)) == data


@pytest.mark.parametrize("algorithm", ["sha384", "sha512"])
def test_other_digests(algorithm: str) -> None:
    made = blob_of(TAR, "gzip")
    hasher = Digest(algorithm, "").hasher()
    hasher.update(made.data)
    assert read(evolve(made, descriptor=evolve(made.descriptor, digest=Digest(algorithm, hasher.hexdigest())))) == TAR


@pytest.mark.parametrize("compression", ["none", "gzip", "zstd"])
def test_wrong_digests(compression: str) -> None:
    made, other = blob_of(TAR, compression), Digest.of(b"other")
    blob_digest, found = made.descriptor.digest, made.diff_id
    with pytest.raises(ContentError, match=f"^blob {other}: expected digest {other}, found {blob_digest}$"):
        read(evolve(made, descriptor=evolve(made.descriptor, digest=other)))
    with pytest.raises(ContentError, match=f"^blob {blob_digest}, unpacked: expected diff ID {other}, found {found}$"):
        read(evolve(made, diff_id=other))


@pytest.mark.parametrize("compression", ["none", "gzip", "zstd"])
def test_wrong_sizes(compression: str) -> None:
    made = blob_of(TAR, compression)
    size, at = len(made.data), f"blob {made.descriptor.digest}"
    with pytest.raises(ContentError, match=f"^{at}: expected {size + 1} bytes, found {size}$"):
        read(made.declaring(size + 1))
    for less in (size - 1, 5, 0):
        with pytest.raises(ContentError, match=f"^{at}: expected at most {less} bytes, found more$"):
            read(made.declaring(less))


@pytest.mark.parametrize("compression", ["none", "gzip", "zstd"])
def test_a_blob_cut_anywhere_is_refused(compression: str) -> None:
    made = blob_of(tar(file("a", b"some content")), compression)
    for end in range(len(made.data)):
        with pytest.raises(ContentError):
            read(evolve(promised(made.data[:end], b""), diff_id=made.diff_id))
        with pytest.raises(ContentError):
            read(evolve(made, data=made.data[:end]))


@pytest.mark.parametrize("compression", ["none", "gzip", "zstd"])
def test_a_blob_changed_anywhere_is_refused(compression: str) -> None:
    made = blob_of(tar(file("a", b"some content")), compression)
    for at in range(len(made.data)):
        changed = bytearray(made.data)
        changed[at] ^= 0x55
        with pytest.raises(ContentError):
            read(evolve(made, data=bytes(changed)))


def test_damage_is_told_as_such() -> None:
    made = compressed(TAR, "gzip")
    damaged = promised(made[: len(made) // 2] + b"\0" * 50, TAR)
    with pytest.raises(ContentError, match=f"^blob {damaged.descriptor.digest}: expected gzip data, found damage \\("):
        read(damaged)
    made = compressed(TAR, "zstd")
    damaged = promised(made[:7] + b"\xff" * 500, TAR)
    with pytest.raises(ContentError, match=f"^blob {damaged.descriptor.digest}: expected zstd data, found damage \\("):
        read(damaged)


@pytest.mark.parametrize("garbage", [b"garbage", b"\x1f\x8b", b"\xff" * 1000])
def test_garbage_after_compressed_data_is_refused(garbage: bytes) -> None:
    for compression in ("gzip", "zstd"):
        with pytest.raises(ContentError, match=r"expected (gzip|zstd) data, found damage"):
            read(promised(compressed(TAR, compression) + garbage, TAR))


def test_a_zstd_window_that_would_take_too_much_memory_is_refused() -> None:
    parameters = zstandard.ZstdCompressionParameters(window_log=28, enable_ldm=True, write_content_size=False)
    packer = zstandard.ZstdCompressor(compression_params=parameters).compressobj()
    with pytest.raises(ContentError, match="expected zstd data, found damage"):
        read(promised(packer.compress(TAR) + packer.flush(), TAR))


@pytest.mark.parametrize("compression", ["gzip", "zstd"])
def test_a_decompression_bomb_stops_at_its_bound(compression: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(blob, "_FREE", 10_000_000)
    monkeypatch.setattr(blob, "_RATIO", 10)
    made = blob_of(bytes(30_000_000), compression)
    reader = made.reader()
    unpacked = 0
    limit = 10_000_000 + 10 * len(made.data)
    with pytest.raises(ContentError, match=f"^blob {made.descriptor.digest}, unpacked: expected at most {limit} bytes, found more$"):  # noqa: PT012 - reading on is what raises
        while chunk := reader.read(1 << 16):
            unpacked += len(chunk)
    reader.close()
    assert unpacked <= limit


def test_a_real_layer_may_unpack_to_as_much_as_deflate_can() -> None:
    content = zlib.compress(bytes(8_000_000), 9)
    assert len(content) * blob._RATIO > 8_000_000


def test_reading_and_skipping_tell_how_much_there_was() -> None:
    reader = blob_of(TAR, "gzip").reader()
    assert reader.skip(512) == 512
    assert reader.read(100) == TAR[512:612]
    assert reader.skip(10_000_000) == len(TAR) - 612
    assert reader.skip(1) == 0
    assert reader.read(1) == b""
    assert reader.finish() == len(TAR)
    reader.close()


def test_progress_counts_the_bytes_of_the_blob() -> None:
    made = blob_of(TAR, "zstd")
    steps: list[int] = []
    reader = BlobReader(io.BytesIO(made.data), made.descriptor, made.diff_id, steps.append)
    reader.finish()
    reader.close()
    assert sum(steps) == len(made.data)


def test_closing_closes_what_is_below() -> None:
    raw = io.BytesIO(b"abc")
    tally = Tally(raw, Digest.of(b"abc"), 3, "it")
    assert tally.readable()
    assert io.BufferedReader(tally).read() == b"abc"
    tally.check("digest")
    tally.close()
    tally.close()
    assert raw.closed


@pytest.mark.parametrize("compression", ["none", "gzip", "zstd"])
def test_a_reader_closes_its_blob(compression: str) -> None:
    made = blob_of(TAR, compression)
    raw = io.BytesIO(made.data)
    reader = BlobReader(raw, made.descriptor, made.diff_id)
    reader.read(10)
    reader.close()
    assert raw.closed


def test_a_blob_that_is_refused_at_once_is_closed() -> None:
    made = blob_of(TAR).declaring(0)
    raw = io.BytesIO(made.data)
    with pytest.raises(ContentError, match="expected at most 0 bytes, found more"):
        BlobReader(raw, made.descriptor, made.diff_id)
    assert raw.closed
