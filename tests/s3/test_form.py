"""Forms read from bytes: whole, byte by byte, and malformed."""

from __future__ import annotations

from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from sseproxy.s3.faults import Fault, S3Error
from sseproxy.s3.form import MAX_FIELDS_BYTES, FormReader

BOUNDARY = "b0undary"
TYPE = f"multipart/form-data; boundary={BOUNDARY}"


def part(name: str, value: bytes, more: str = "") -> bytes:
    head = f'--{BOUNDARY}\r\nContent-Disposition: form-data; name="{name}"{more}\r\n\r\n'
    return head.encode() + value + b"\r\n"


END = f"--{BOUNDARY}--\r\n".encode()


def read(body: bytes, cuts: tuple[int, ...] = ()) -> tuple[FormReader, bytes]:
    reader, file = FormReader(TYPE), b""
    bounds = [0, *sorted(min(cut, len(body)) for cut in cuts), len(body)]
    for start, stop in pairwise(bounds):
        file += b"".join(reader.feed(body[start:stop]))
    reader.finish()
    return reader, file


def refused(body: bytes, fault: Fault) -> S3Error:
    """However it comes."""
    for cuts in ((), tuple(range(len(body))) if len(body) < 2000 else (1, 500, 20000)):
        with pytest.raises(S3Error) as caught:
            read(body, cuts)
        assert caught.value.fault is fault
    return caught.value


FORM = (
    part("Key", "a/ü".encode())
    + part("x-amz-meta-a", b"", '; filename="x"\r\nContent-Type: text/plain')
    + part("file", b"the file\r\n--b0", '; filename="C:\\a b/c.txt"')
    + part("submit", b"\xff" * 50)
    + part("Key", b"ignored")
    + END
    + b"and what follows"
)


@given(st.lists(st.integers(0, len(FORM)), max_size=20))
def test_however_it_is_cut(cuts: list[int]) -> None:
    reader, file = read(FORM, tuple(cuts))
    assert reader.fields == {"key": "a/ü", "x-amz-meta-a": ""}
    assert (reader.filename, file) == ("c.txt", b"the file\r\n--b0")
    assert reader.in_file


def test_byte_by_byte() -> None:
    reader, file = read(FORM, tuple(range(len(FORM))))
    assert (len(reader.fields), file) == (2, b"the file\r\n--b0")


@given(st.binary(max_size=3000), st.lists(st.integers(0, 3000), max_size=9))
def test_any_file(data: bytes, cuts: list[int]) -> None:
    reader, file = read(part("key", b"k") + part("file", data) + END, tuple(cuts))
    assert (file, reader.filename) == (data, "")


@given(st.binary(max_size=400))
def test_garbage_is_refused_or_read(data: bytes) -> None:
    with pytest.raises(S3Error) as caught:
        read(data)
    assert caught.value.fault is Fault.MalformedPOSTRequest


def test_the_file_begins_with_its_head() -> None:
    reader = FormReader(TYPE)
    assert list(reader.feed(part("key", b"k"))) == []
    assert not reader.in_file
    assert list(reader.feed(b"")) == []
    assert list(reader.feed(part("file", b"x")[:-3])) == []
    assert reader.in_file
    assert reader.fields == {"key": "k"}


@pytest.mark.parametrize(
    "content_type",
    [
        "",
        "multipart/mixed; boundary=b",
        "application/x-www-form-urlencoded",
        "multipart/form-data2",
    ],
)
def test_another_content_type(content_type: str) -> None:
    with pytest.raises(S3Error) as caught:
        FormReader(content_type)
    assert caught.value.fault is Fault.PreconditionFailed
    assert caught.value.fields["Condition"].endswith("multipart/form-data")


@pytest.mark.parametrize(
    "boundary", ["", "; boundary=", "; boundary=" + "b" * 71, '; boundary="b "', "; boundary=ü"]
)
def test_no_boundary(boundary: str) -> None:
    with pytest.raises(S3Error) as caught:
        FormReader("multipart/form-data" + boundary)
    assert caught.value.fault is Fault.MalformedPOSTRequest


@pytest.mark.parametrize(
    "body",
    [
        b"",
        b"key=k",
        part("key", b"k"),
        part("key", b"k") + part("file", b"x"),
        part("file", b"x")[:-1],
        part("key", b"\xff") + part("file", b"x") + END,
        f"--{BOUNDARY}\r\nContent-Disposition: attachment\r\n\r\nx\r\n".encode() + END,
        f"--{BOUNDARY}\r\n\r\nx\r\n".encode() + END,
        bytes(70_000) + part("file", b"x") + END,
    ],
)
def test_malformed(body: bytes) -> None:
    refused(body, Fault.MalformedPOSTRequest)


def test_what_stands_before_the_form_is_bounded() -> None:
    reader = FormReader(TYPE)
    assert list(reader.feed(bytes(64 * 1024))) == []
    with pytest.raises(S3Error) as caught:
        list(reader.feed(b"\0"))
    assert caught.value.fault is Fault.MalformedPOSTRequest


def test_the_boundary_in_the_file() -> None:
    body = part("file", f"a\r\n--{BOUNDARY}x".encode()) + part("submit", b"x") + END
    with pytest.raises(S3Error) as caught:
        read(body)
    assert caught.value.fault is Fault.MalformedPOSTRequest


@pytest.mark.parametrize(("files", "count"), [(0, "0"), (2, "2")])
def test_one_file(files: int, count: str) -> None:
    error = refused(part("key", b"k") + part("FILE", b"x") * files + END, Fault.InvalidArgument)
    assert error.message == "POST requires exactly one file upload per request."
    assert error.fields == {"ArgumentName": "file", "ArgumentValue": count}


def test_a_field_occurs_once() -> None:
    body = part("key", b"k") + part("KEY", b"l") + part("file", b"x") + END
    assert refused(body, Fault.InvalidArgument).fields == {"ArgumentName": "key"}


def test_fields_are_bounded() -> None:
    read(part("a", b"x" * (MAX_FIELDS_BYTES - 200)) + part("file", bytes(50_000)) + END)
    for fields in (
        part("a", b"x" * MAX_FIELDS_BYTES),
        part("a", b"x" * 15_000) + part("b", b"x" * 6_000),
        b"".join(part(str(number), b"") for number in range(400)),
        b"".join(part(str(number), b"", "\r\nX-Y: " + "y" * 3000) for number in range(7)),
    ):
        fault = Fault.MaxPostPreDataLengthExceededError
        refused(fields + part("file", b"x") + END, fault)
