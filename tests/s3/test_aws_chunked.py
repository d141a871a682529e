"""aws-chunked bodies: AWS's sample, boto3's bytes, any split, any damage."""

from __future__ import annotations

from hashlib import sha256
from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from sseproxy.s3.aws_chunked import ChunkedDecoder, PayloadKind, make_decoder
from sseproxy.s3.faults import S3Error
from sseproxy.s3.sigv4 import ChunkSigner, signing_key
from sseproxy.secret import Secret

SCOPE = "20130524/us-east-1/s3/aws4_request"
KEY = signing_key(Secret("wJalrXUtnFEMI/K7MDENG/bPxRfiCYEXAMPLEKEY"), "20130524", "us-east-1", "s3")
SEED = "4f232c4386841ef735655705268965c44a0e4690baa4adea153f7db9fa80a0a9"
TRAILER_SEED = "106e2a8a18243abcf37539882f36619c00e2dfc72633413f02d3b74544bfeb8e"
CRC32C = "x-amz-checksum-crc32c"


def new_signer(seed: str = SEED) -> ChunkSigner:
    return ChunkSigner(KEY, SCOPE, "20130524T000000Z", seed)


def encode(chunks: list[bytes], *, signed: bool, trailers: dict[str, str] | None = None) -> bytes:
    """The framing of some chunks, as a client makes it; a signed trailer if both are given."""
    signer = new_signer()
    body = bytearray()
    for chunk in [*chunks, b""]:
        signature = signer.next_chunk_signature(sha256(chunk).hexdigest())
        body += b"%x" % len(chunk) + (f";chunk-signature={signature}" if signed else "").encode()
        body += b"\r\n" + chunk + (b"\r\n" if chunk else b"")
    for name, value in (trailers or {}).items():
        body += f"{name}:{value}\r\n".encode()
    if signed and trailers is not None:
        text = "".join(f"{name}:{value}\n" for name, value in trailers.items())
        signature = signer.trailer_signature(sha256(text.encode()).hexdigest())
        body += f"x-amz-trailer-signature:{signature}\r\n".encode()
    return bytes(body + b"\r\n")


def decoder(length: int, *, signed: bool, trailers: dict[str, str] | None = None) -> ChunkedDecoder:
    return ChunkedDecoder(
        decoded_length=length,
        signer=new_signer() if signed else None,
        trailer_names=trailers or {},
        signed_trailer=signed and trailers is not None,
    )


def decode(body: bytes, into: ChunkedDecoder, cuts: tuple[int, ...] = ()) -> bytes:
    """The payload of a body fed in pieces that end at the cuts, once `finish` has approved it."""
    payload = bytearray()
    bounds = [0, *sorted(min(cut, len(body)) for cut in cuts), len(body)]
    for start, stop in pairwise(bounds):
        for piece in into.feed(body[start:stop]):
            payload += piece
    into.finish()
    return bytes(payload)


class TestVectors:
    """AWS's sample of 65536 + 1024 bytes, with the signatures of protocol.md 3.2 written out."""

    def body(self, signatures: list[str], end: str) -> bytes:
        header = [
            f"{size:x};chunk-signature={signature}\r\n".encode()
            for size, signature in zip((65536, 1024, 0), signatures, strict=True)
        ]
        return (
            header[0] + b"a" * 65536 + b"\r\n" + header[1] + b"a" * 1024 + b"\r\n" + header[2]
        ) + end.encode()

    def test_signed_chunks(self) -> None:
        body = self.body(
            [
                "ad80c730a21e5b8d04586a2213dd63b9a0e99e0e2307b0ade35a65485a288648",
                "0055627c9e194cb4542bae2aa5492e3c1575bbb81b612b7d234b86a503ef5497",
                "b6c6ea8a5354eaf15b3cb7646744f4275b71ea724fed81ceb9323e279d449df9",
            ],
            "\r\n",
        )
        assert len(body) == 66824
        made = make_decoder(
            PayloadKind.SIGNED_CHUNKS, {"x-amz-decoded-content-length": "66560"}, new_signer()
        )
        assert decode(body, made) == b"a" * 66560

    @pytest.mark.parametrize("end", ["\r\n", "\n\r\n"], ids=["crlf", "signed-newline-and-crlf"])
    def test_signed_chunks_and_trailer(self, end: str) -> None:
        body = self.body(
            [
                "b474d8862b1487a5145d686f57f013e54db672cee1c953b3010fb58501ef5aa2",
                "1c1344b170168f8e65b41376b44b20fe354e373826ccbbe2c1d40a8cae51e5c7",
                "2ca2aba2005185cf7159c6277faf83795951dd77a3a99e6e65d5c9f85863f992",
            ],
            f"x-amz-checksum-crc32c:sOO8/Q=={end}x-amz-trailer-signature:"
            "d81f82fc3505edab99d459891051a732e8730629a2e4a59689829ca17fe2e435\r\n\r\n",
        )
        headers = {"x-amz-decoded-content-length": "66560", "x-amz-trailer": CRC32C}
        made = make_decoder(PayloadKind.SIGNED_CHUNKS_TRAILER, headers, new_signer(TRAILER_SEED))
        assert decode(body, made) == b"a" * 66560
        assert made.finish() == {CRC32C: "sOO8/Q=="}

    def test_boto3_over_https(self) -> None:
        headers = {"x-amz-decoded-content-length": "5", "x-amz-trailer": "X-Amz-Checksum-CRC32"}
        made = make_decoder(PayloadKind.UNSIGNED_CHUNKS_TRAILER, headers, new_signer())
        body = b"5\r\nhello\r\n0\r\nx-amz-checksum-crc32:NhCmhg==\r\n\r\n"
        assert decode(body, made) == b"hello"
        assert made.finish() == {"x-amz-checksum-crc32": "NhCmhg=="}


FRAMINGS = [
    pytest.param(True, None, id="signed"),
    pytest.param(True, {CRC32C: "sOO8/Q=="}, id="signed-trailer"),
    pytest.param(False, {CRC32C: "sOO8/Q=="}, id="trailer"),
    pytest.param(False, None, id="bare"),
]
CHUNKS = st.lists(st.binary(min_size=1, max_size=40), max_size=4)


@pytest.mark.parametrize(("signed", "trailers"), FRAMINGS)
class TestEveryFraming:
    @given(chunks=CHUNKS, cuts=st.lists(st.integers(0, 600), max_size=20).map(tuple))
    def test_any_split_gives_the_payload(
        self,
        chunks: list[bytes],
        cuts: tuple[int, ...],
        signed: bool,
        trailers: dict[str, str] | None,
    ) -> None:
        body = encode(chunks, signed=signed, trailers=trailers)
        payload = b"".join(chunks)
        for split in (cuts, tuple(range(len(body)))):
            into = decoder(len(payload), signed=signed, trailers=trailers)
            assert decode(body, into, split) == payload
            assert into.finish() == (trailers or {})

    def test_every_truncation_is_incomplete(
        self, signed: bool, trailers: dict[str, str] | None
    ) -> None:
        body = encode([b"hello", b"world"], signed=signed, trailers=trailers)
        for stop in range(len(body)):
            with pytest.raises(S3Error) as caught:
                decode(body[:stop], decoder(10, signed=signed, trailers=trailers))
            assert caught.value.code == "IncompleteBody"

    def test_bytes_after_the_end(self, signed: bool, trailers: dict[str, str] | None) -> None:
        body = encode([b"hello"], signed=signed, trailers=trailers)
        for cuts in ((), (len(body),)):
            with pytest.raises(S3Error, match="IncompleteBody"):
                decode(body + b"\n", decoder(5, signed=signed, trailers=trailers), cuts)

    @pytest.mark.parametrize("length", [4, 6, 0])
    def test_another_length_than_promised(
        self, length: int, signed: bool, trailers: dict[str, str] | None
    ) -> None:
        body = encode([b"he", b"llo"], signed=signed, trailers=trailers)
        with pytest.raises(S3Error, match="IncompleteBody"):
            decode(body, decoder(length, signed=signed, trailers=trailers))

    @given(junk=st.binary(max_size=80), at=st.integers(0, 200))
    def test_arbitrary_bytes_raise_only_s3_errors(
        self, junk: bytes, at: int, signed: bool, trailers: dict[str, str] | None
    ) -> None:
        body = encode([b"hello"], signed=signed, trailers=trailers)
        for damaged in (junk, body[:at] + junk + body[at:], body[:at] + junk):
            try:
                payload = decode(damaged, decoder(5, signed=signed, trailers=trailers))
            except S3Error:
                continue
            assert len(payload) == 5


@given(data=st.data(), flip=st.integers(1, 255))
@pytest.mark.parametrize("trailers", [None, {CRC32C: "sOO8/Q=="}], ids=["chunks", "trailer"])
def test_any_changed_byte_of_a_signed_body_fails(
    data: st.DataObject, flip: int, trailers: dict[str, str] | None
) -> None:
    body = encode([b"payload of a chunk, ", b"and of one more"], signed=True, trailers=trailers)
    at = data.draw(st.integers(0, len(body) - 1))
    damaged = bytearray(body)
    damaged[at] ^= flip
    into = decoder(35, signed=True, trailers=trailers)
    try:
        decode(bytes(damaged), into)
    except S3Error:
        return
    # Only the case of a chunk's size or of a trailer's name is not signed, and means nothing.
    assert bytes(damaged[at : at + 1]).lower() == body[at : at + 1].lower()
    assert into.finish() == (trailers or {})


def test_every_flipped_bit_of_the_payload_fails() -> None:
    body = encode([b"payload"], signed=True)
    start = body.index(b"payload")
    for bit in range(7 * 8):
        damaged = bytearray(body)
        damaged[start + bit // 8] ^= 1 << bit % 8
        with pytest.raises(S3Error, match="SignatureDoesNotMatch"):
            decode(bytes(damaged), decoder(7, signed=True))


@pytest.mark.parametrize(
    ("body", "code"),
    [
        (b"\r\n", "InvalidChunkSizeError"),
        (b"-5\r\nhello", "InvalidChunkSizeError"),
        (b"0x5\r\nhello", "InvalidChunkSizeError"),
        (b"1_0\r\n", "InvalidChunkSizeError"),
        (b" 5\r\nhello", "InvalidChunkSizeError"),
        (b"00000000000000005\r\nhello", "InvalidChunkSizeError"),
        (b"5;chunk-signature=" + b"0" * 64 + b"\r\n", "IncompleteBody"),
        (b"6\r\nhello!", "IncompleteBody"),
        (b"5\r\nhello!", "IncompleteBody"),
        (b"5\r\nhello\n0\r\n", "IncompleteBody"),
        (b"5\nhello\n" + b"x" * 300, "IncompleteBody"),
        (b"0" * 300, "IncompleteBody"),
        (b"5\r\nhello\r\n0\r\nno colon\r\n", "MalformedTrailerError"),
        (b"5\r\nhello\r\n0\r\nother:1\r\n", "MalformedTrailerError"),
        (b"5\r\nhello\r\n0\r\na:1\r\na:1\r\n", "MalformedTrailerError"),
        (b"5\r\nhello\r\n0\r\na:\xff\r\n", "MalformedTrailerError"),
        (b"5\r\nhello\r\n0\r\nx-amz-trailer-signature:1\r\n", "MalformedTrailerError"),
        (b"5\r\nhello\r\n0\r\na:" + b"1" * 1100, "MalformedTrailerError"),
        (b"5\r\nhello\r\n0\r\n\r\n", "MalformedTrailerError"),
    ],
)
def test_broken_framing(body: bytes, code: str) -> None:
    for cuts in ((), tuple(range(len(body)))):
        into = ChunkedDecoder(
            decoded_length=5, signer=None, trailer_names={"a"}, signed_trailer=False
        )
        with pytest.raises(S3Error) as caught:
            decode(body, into, cuts)
        assert caught.value.code == code


class TestSignatures:
    @pytest.mark.parametrize("header", [b"5\r\nhello", b"5;other=1\r\nhello", b"5;\r\nhello"])
    def test_a_chunk_without_one(self, header: bytes) -> None:
        with pytest.raises(S3Error, match="SignatureDoesNotMatch"):
            decode(header + b"\r\n", decoder(5, signed=True))

    @pytest.mark.parametrize("index", [0, 1])
    def test_chunks_can_not_be_swapped_or_left_out(self, index: int) -> None:
        header = len(encode([], signed=True)) - 2
        body = encode([b"a", b"b"], signed=True)
        first, second, last = (
            body[: header + 3],
            body[header + 3 : 2 * (header + 3)],
            body[2 * (header + 3) :],
        )
        assert first + second + last == body
        broken = (second + first + last, first + last)[index]
        with pytest.raises(S3Error, match="SignatureDoesNotMatch"):
            decode(broken, decoder(2 - index, signed=True))

    def test_a_trailer_without_one(self) -> None:
        body = encode([b"hello"], signed=True, trailers={CRC32C: "sOO8/Q=="})
        cut = body.index(b"x-amz-trailer-signature")
        with pytest.raises(S3Error, match="SignatureDoesNotMatch"):
            decode(body[:cut] + b"\r\n", decoder(5, signed=True, trailers={CRC32C: "sOO8/Q=="}))

    def test_nothing_comes_after_the_trailers_signature(self) -> None:
        trailers = {CRC32C: "sOO8/Q=="}
        body = encode([b"hello"], signed=True, trailers=trailers)
        with pytest.raises(S3Error, match="MalformedTrailerError"):
            decode(body[:-2] + b"x:1\r\n\r\n", decoder(5, signed=True, trailers=trailers))

    def test_a_signed_trailer_needs_a_signer(self) -> None:
        with pytest.raises(ValueError, match="signer"):
            ChunkedDecoder(decoded_length=0, signer=None, trailer_names=(), signed_trailer=True)


def test_pieces_are_views_of_what_was_fed() -> None:
    fed = bytearray(b"5\r\nhel")
    (piece,) = decoder(5, signed=False).feed(memoryview(fed))
    fed[3] = ord("H")
    assert bytes(piece) == b"Hel"


def test_a_decoder_is_dead_after_an_error() -> None:
    into = decoder(5, signed=False)
    with pytest.raises(S3Error) as first:
        into.feed(b"zz\r\n")
    for again in (lambda: into.feed(b"5\r\nhello\r\n0\r\n\r\n"), into.finish):
        with pytest.raises(S3Error) as later:
            again()
        assert later.value is first.value


def test_a_decoder_is_dead_once_finished_too_early() -> None:
    into = decoder(5, signed=False)
    with pytest.raises(S3Error, match="IncompleteBody"):
        into.finish()
    with pytest.raises(S3Error, match="IncompleteBody"):
        into.feed(b"5\r\nhello\r\n0\r\n\r\n")


class TestPayloadKind:
    @pytest.mark.parametrize(
        ("value", "kind", "chunked"),
        [
            ("0a" * 32, PayloadKind.SIGNED, False),
            ("UNSIGNED-PAYLOAD", PayloadKind.UNSIGNED, False),
            ("STREAMING-AWS4-HMAC-SHA256-PAYLOAD", PayloadKind.SIGNED_CHUNKS, True),
            (
                "STREAMING-AWS4-HMAC-SHA256-PAYLOAD-TRAILER",
                PayloadKind.SIGNED_CHUNKS_TRAILER,
                True,
            ),
            ("STREAMING-UNSIGNED-PAYLOAD-TRAILER", PayloadKind.UNSIGNED_CHUNKS_TRAILER, True),
        ],
    )
    def test_known(self, value: str, kind: PayloadKind, chunked: bool) -> None:
        assert PayloadKind.of(value) is kind
        assert kind.chunked is chunked

    @pytest.mark.parametrize(
        "value",
        ["", "SHA256", "0A" * 32, "0a" * 31, "STREAMING-AWS4-ECDSA-P256-SHA256-PAYLOAD"],
    )
    def test_unknown(self, value: str) -> None:
        with pytest.raises(S3Error, match="InvalidArgument"):
            PayloadKind.of(value)


class TestMakeDecoder:
    @pytest.mark.parametrize(
        ("headers", "code"),
        [
            ({}, "MissingContentLength"),
            ({"x-amz-decoded-content-length": "-1"}, "InvalidArgument"),
            ({"x-amz-decoded-content-length": "1e3"}, "InvalidArgument"),
            ({"x-amz-decoded-content-length": "\u0665"}, "InvalidArgument"),
            ({"x-amz-decoded-content-length": "9" * 17}, "InvalidArgument"),
            (
                {"x-amz-decoded-content-length": "5", "x-amz-trailer": CRC32C},
                "MalformedTrailerError",
            ),
        ],
    )
    def test_headers_that_are_wrong(self, headers: dict[str, str], code: str) -> None:
        with pytest.raises(S3Error, match=code):
            make_decoder(PayloadKind.SIGNED_CHUNKS, headers, new_signer())

    def test_a_signed_kind_without_a_signer_is_a_mistake_of_the_caller(self) -> None:
        with pytest.raises(ValueError, match="signer"):
            make_decoder(PayloadKind.SIGNED_CHUNKS, {"x-amz-decoded-content-length": "5"}, None)
