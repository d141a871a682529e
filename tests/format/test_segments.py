"""Sealing and opening: any split gives the same bytes, and whatever is altered fails."""

from __future__ import annotations

import itertools

import pytest
from cryptography.hazmat.primitives.ciphers.aead import AESGCM
from hypothesis import given
from hypothesis import strategies as st

from sseproxy.errors import IntegrityError
from sseproxy.format.header import SEALED_SEGMENT_BYTES, SEGMENT_BYTES, Header, part_key
from sseproxy.format.segments import PartOpener, PartSealer, part_cipher
from sseproxy.secret import Secret

from .helpers import DATA_ID, DEK, EDGES, data, flipped, header, open_all, seal, segments_of

SIZE = 3 * SEGMENT_BYTES + 100  # four segments, the last of them short
sizes = st.sampled_from(EDGES) | st.integers(0, 5 * SEGMENT_BYTES)


def reference(plain: bytes, head: Header) -> bytes:
    """The segments of a part as section 3.2 writes them down."""
    aead = AESGCM(part_key(DEK, DATA_ID, head).reveal())
    pieces = [plain[at : at + SEGMENT_BYTES] for at in range(0, len(plain), SEGMENT_BYTES)] or [b""]
    return b"".join(
        aead.encrypt(index.to_bytes(8) + bytes(3) + bytes([index == len(pieces) - 1]), piece, b"")
        for index, piece in enumerate(pieces)
    )


def failure(sealed: bytes, head: Header, **other: object) -> str:
    """The reason for which opening fails."""
    with pytest.raises(IntegrityError) as caught:
        open_all(sealed, head, **other)  # type: ignore[arg-type]  # other: dek, data_id
    return caught.value.reason


@given(sizes)
def test_sealed_bytes_are_those_of_the_specification(size: int) -> None:
    plain, head = data(size), header(size)
    sealed = seal(plain)
    assert sealed == reference(plain, head)
    assert open_all(sealed, head) == plain


@given(sizes, st.lists(st.integers(0, 3), max_size=8))
def test_any_split_gives_the_same_bytes(size: int, steps: list[int]) -> None:
    plain, head = data(size), header(size)
    whole = seal(plain)
    sealer, opener = (
        PartSealer(DEK, DATA_ID, head),
        PartOpener(part_cipher(DEK, DATA_ID, head), head),
    )
    buffer, back = bytearray(len(whole)), bytearray(size)
    sealed = opened = b""
    cuts = [0, *itertools.accumulate(steps)]
    for low, high in itertools.pairwise([*cuts, 1_000]):
        piece = plain[low * SEGMENT_BYTES : high * SEGMENT_BYTES]
        written = sealer.seal_into(piece, memoryview(buffer))
        sealed += buffer[:written]
        opened += back[: opener.open_into(buffer[:written], memoryview(back))]
        assert opener.finished == sealer.finished
    opener.finish()
    assert sealed == whole
    assert opened == plain
    assert opener.plain_bytes == size


@given(st.sampled_from([bytes, bytearray, memoryview]))
def test_every_kind_of_buffer_is_taken(kind: type) -> None:
    plain = data(SIZE)
    sealed = seal(kind(plain))
    assert open_all(kind(sealed), header(SIZE)) == plain


def test_only_the_front_of_the_buffer_is_written() -> None:
    sealed, head = seal(data(SIZE)), header(SIZE)
    out = bytearray(b"\xaa" * (len(sealed) + 100))
    PartSealer(DEK, DATA_ID, head).seal_into(data(SIZE), memoryview(out))
    assert out[len(sealed) :] == b"\xaa" * 100
    out = bytearray(b"\xaa" * (SIZE + 100))
    PartOpener(part_cipher(DEK, DATA_ID, head), head).open_into(sealed, memoryview(out))
    assert out[SIZE:] == b"\xaa" * 100


@given(st.integers(0, SIZE + 63), st.integers(0, 7))
def test_any_flipped_bit_fails(position: int, bit: int) -> None:
    sealed = seal(data(SIZE))
    assert failure(flipped(sealed, position, bit), header(SIZE)) == "segment"


@pytest.mark.parametrize("size", [0, 1, 40])
def test_any_flipped_byte_of_a_short_part_fails(size: int) -> None:
    sealed = seal(data(size))
    for position in range(len(sealed)):
        assert failure(flipped(sealed, position), header(size)) == "segment"


@pytest.mark.parametrize("size", EDGES)
def test_truncation_at_every_segment_boundary_fails(size: int) -> None:
    sealed = seal(data(size))
    for stop in range(0, len(sealed), SEALED_SEGMENT_BYTES):
        assert failure(sealed[:stop], header(size)) == "truncated"


@given(st.integers(0, SIZE + 63))
def test_truncation_anywhere_fails(stop: int) -> None:
    assert failure(seal(data(SIZE))[:stop], header(SIZE)) == "truncated"


@pytest.mark.parametrize("kept", [1, 2, 3])
def test_a_shorter_header_does_not_make_a_truncated_part_whole(kept: int) -> None:
    sealed = seal(data(SIZE))[: kept * SEALED_SEGMENT_BYTES]
    assert failure(sealed, header(kept * SEGMENT_BYTES)) == "segment"


@given(st.permutations(range(4)).filter(lambda order: order != [0, 1, 2, 3]))
def test_reordered_segments_fail(order: list[int]) -> None:
    pieces = segments_of(seal(data(SIZE)))
    reordered = b"".join(pieces[index] for index in order)
    assert failure(reordered, header(SIZE)) in ("segment", "truncated")


@given(st.integers(0, 3), st.integers(0, 3))
def test_a_repeated_segment_fails(repeated: int, place: int) -> None:
    pieces = segments_of(seal(data(SIZE)))
    pieces.insert(place, pieces[repeated])
    assert failure(b"".join(pieces), header(SIZE)) in ("segment", "truncated")


@pytest.mark.parametrize("missing", [0, 1, 2])
def test_a_missing_segment_fails(missing: int) -> None:
    pieces = segments_of(seal(data(SIZE)))
    del pieces[missing]
    assert failure(b"".join(pieces), header(SIZE)) in ("segment", "truncated")


@pytest.mark.parametrize("index", [0, 1, 2, 3])
@pytest.mark.parametrize(
    "foreign",
    [
        pytest.param(header(SIZE, number=2), id="another part number"),
        pytest.param(header(SIZE, salt=b"another salt, 16"), id="another upload"),
        pytest.param(header(SIZE, trailer=True), id="another flag"),
        pytest.param(header(SIZE + 1), id="another length"),
    ],
)
def test_a_segment_of_another_part_fails(index: int, foreign: Header) -> None:
    plain = data(foreign.plain_length)
    pieces = segments_of(seal(plain[:SIZE]))
    pieces[index] = segments_of(seal(plain, foreign))[index][: len(pieces[index])]
    assert failure(b"".join(pieces), header(SIZE)) == "segment"


def test_another_data_key_or_data_id_fails() -> None:
    sealed = seal(data(SIZE))
    assert failure(sealed, header(SIZE), dek=Secret(bytes(32))) == "segment"
    assert failure(sealed, header(SIZE), data_id=bytes(16)) == "segment"


@given(st.binary(min_size=1, max_size=100))
def test_bytes_after_the_final_segment_fail(rest: bytes) -> None:
    assert failure(seal(data(SIZE)) + rest, header(SIZE)) == "segment"


def test_bytes_after_a_finished_part_fail_in_a_later_call() -> None:
    opener = PartOpener(part_cipher(DEK, DATA_ID, header(5)), header(5))
    out = memoryview(bytearray(100))
    assert opener.open_into(seal(data(5)), out) == 5
    assert opener.finished
    assert opener.open_into(b"", out) == 0
    with pytest.raises(IntegrityError):
        opener.open_into(b"more", out)
    assert not opener.finished


@pytest.mark.parametrize("index", [0, 1, 2, 3])
def test_nothing_unverified_is_left_in_the_buffer(index: int) -> None:
    plain = data(SIZE)
    sealed = flipped(seal(plain), index * SEALED_SEGMENT_BYTES + 50)
    opener, out = PartOpener(part_cipher(DEK, DATA_ID, header(SIZE)), header(SIZE)), bytearray(SIZE)
    with pytest.raises(IntegrityError, match=f"segment {index}"):
        opener.open_into(sealed, memoryview(out))
    verified = index * SEGMENT_BYTES
    assert opener.plain_bytes == verified
    assert out == plain[:verified] + bytes(SIZE - verified)


@given(st.sampled_from([1, 2, 3, 4]), st.integers(0, SIZE + 63), st.booleans())
def test_how_the_input_is_split_does_not_change_what_is_verified(
    step: int, position: int, cut: bool
) -> None:
    sealed = seal(data(SIZE))
    sealed = sealed[:position] if cut else flipped(sealed, position)
    opener, out = (
        PartOpener(part_cipher(DEK, DATA_ID, header(SIZE)), header(SIZE)),
        memoryview(bytearray(SIZE)),
    )
    size = step * SEALED_SEGMENT_BYTES

    def read() -> None:
        for start in range(0, len(sealed), size):
            opener.open_into(sealed[start : start + size], out)
        opener.finish()

    with pytest.raises(IntegrityError):
        read()
    assert opener.plain_bytes == position // SEALED_SEGMENT_BYTES * SEGMENT_BYTES


def test_an_opener_is_dead_after_a_failure() -> None:
    sealed, out = seal(data(SIZE)), memoryview(bytearray(SIZE))
    opener = PartOpener(part_cipher(DEK, DATA_ID, header(SIZE)), header(SIZE))
    with pytest.raises(IntegrityError):
        opener.open_into(flipped(sealed, 0), out)
    for attempt in (lambda: opener.open_into(sealed, out), opener.finish):
        with pytest.raises(IntegrityError, match="failed before") as caught:
            attempt()
        assert caught.value.reason == "segment"
    assert not opener.finished


def test_a_window_ends_where_it_was_said_to_end() -> None:
    plain = data(SIZE)
    pieces, out = segments_of(seal(plain)), bytearray(SIZE)
    opener = PartOpener(
        part_cipher(DEK, DATA_ID, header(SIZE)), header(SIZE), first_segment=1, segments=2
    )
    opener.open_into(pieces[1], memoryview(out))
    assert not opener.finished
    opener.open_into(pieces[2], memoryview(out))
    assert opener.finished
    opener.finish()
    with pytest.raises(IntegrityError):
        opener.open_into(pieces[3], memoryview(out))


def test_a_window_that_lacks_a_segment_is_truncated() -> None:
    pieces, out = segments_of(seal(data(SIZE))), bytearray(SIZE)
    opener = PartOpener(
        part_cipher(DEK, DATA_ID, header(SIZE)), header(SIZE), first_segment=1, segments=2
    )
    opener.open_into(pieces[1], memoryview(out))
    with pytest.raises(IntegrityError, match="last segment") as caught:
        opener.finish()
    assert caught.value.reason == "truncated"


@pytest.mark.parametrize(("first", "count"), [(-1, 1), (4, 1), (4, None), (0, 5), (3, 2), (1, 0)])
def test_a_window_outside_the_part_is_the_callers_error(first: int, count: int | None) -> None:
    with pytest.raises(ValueError):
        PartOpener(
            part_cipher(DEK, DATA_ID, header(SIZE)),
            header(SIZE),
            first_segment=first,
            segments=count,
        )


def test_the_opener_wants_room_before_it_opens_anything() -> None:
    sealed, plain = seal(data(SIZE)), bytearray(SIZE)
    opener = PartOpener(part_cipher(DEK, DATA_ID, header(SIZE)), header(SIZE))
    with pytest.raises(ValueError):
        opener.open_into(sealed, memoryview(plain)[:-1])
    assert not any(plain)
    assert opener.open_into(sealed, memoryview(plain)) == SIZE


def test_the_sealer_takes_no_more_than_the_header_announces() -> None:
    out = memoryview(bytearray(2 * SIZE))
    with pytest.raises(ValueError, match="more plaintext"):
        PartSealer(DEK, DATA_ID, header(5)).seal_into(b"123456", out)
    sealer = PartSealer(DEK, DATA_ID, header(5))
    sealer.seal_into(b"12345", out)
    assert sealer.seal_into(b"", out) == 0
    with pytest.raises(ValueError, match="more plaintext"):
        sealer.seal_into(b"6", out)


@pytest.mark.parametrize("size", [1, SEGMENT_BYTES - 1, SEGMENT_BYTES + 1, SIZE - 1])
def test_the_sealer_takes_whole_segments_or_the_tail(size: int) -> None:
    sealer, out = PartSealer(DEK, DATA_ID, header(SIZE)), memoryview(bytearray(2 * SIZE))
    with pytest.raises(ValueError, match="whole segments"):
        sealer.seal_into(data(SIZE)[:size], out)
    assert sealer.seal_into(data(SIZE), out) == SIZE + 64
    assert out[: SIZE + 64] == seal(data(SIZE))


def test_the_sealer_wants_room_before_it_seals_anything() -> None:
    sealer, out = PartSealer(DEK, DATA_ID, header(SIZE)), bytearray(SIZE + 64)
    with pytest.raises(ValueError, match="room"):
        sealer.seal_into(data(SIZE), memoryview(out)[:-1])
    assert not any(out)
    sealer.seal_into(data(SIZE), memoryview(out))
    assert out == seal(data(SIZE))


def test_an_index_is_spent_even_if_sealing_fails() -> None:
    sealer = PartSealer(DEK, DATA_ID, header(SIZE))
    first = data(SEGMENT_BYTES)
    with pytest.raises((TypeError, ValueError, BufferError)):
        sealer.seal_into(first, memoryview(bytes(SEALED_SEGMENT_BYTES)))
    out = bytearray(SEALED_SEGMENT_BYTES)
    sealer.seal_into(first, memoryview(out))
    assert out != segments_of(seal(data(SIZE)))[0]
    assert out == segments_of(seal(first + first + data(SIZE - 2 * SEGMENT_BYTES)))[1]


def test_equal_segments_of_a_part_do_not_look_alike() -> None:
    pieces = segments_of(seal(bytes(4 * SEGMENT_BYTES)))
    assert len({piece[:16] for piece in pieces}) == 4
