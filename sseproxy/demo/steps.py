"""The steps of the demo, in order. Each shows something, and fails if it is not so."""

from __future__ import annotations

import base64
import secrets
from collections.abc import Callable, Iterable

from botocore.exceptions import BotoCoreError, ClientError
from rich.table import Table
from rich.text import Text

from sseproxy.demo.disk import Found, find, sealed_objects
from sseproxy.demo.stage import (
    BUCKET,
    PUBLIC_BUCKET,
    Arguments,
    Sample,
    Stage,
    StepFailed,
    expect,
)
from sseproxy.format.header import HEADER_BYTES, MAGIC, SEGMENT_BYTES
from sseproxy.format.layout import sealed_object_size

Step = Callable[[Stage], str]  # what it showed, in a few words
_SHOWN_BYTES = 12  # the table fits into 80 columns
_METRICS = ("plain_bytes", "sealed_bytes", "anonymous_denials", "integrity_failures")
_REQUESTS = "requests"


def upload(stage: Stage) -> str:
    """Signed uploads in each mode: plaintext sizes and ETags here, sealed sizes at the store."""
    stage.s3.create_bucket(Bucket=BUCKET)
    rows = []
    for sample in stage.samples:
        target = {"Bucket": BUCKET, "Key": sample.name}
        put = stage.s3.put_object(**target, Body=sample.data, **sample.put)
        seen = stage.s3.head_object(**target, **sample.get)
        stored = stage.raw.head_object(**target)["ContentLength"]
        size, etag = seen["ContentLength"], seen["ETag"].strip('"')
        expect(size == len(sample.data), f"{sample.name}: its plaintext size through the proxy")
        expect(put["ETag"] == seen["ETag"], f"{sample.name}: the same ETag from PUT and HEAD")
        is_md5 = etag == sample.md5
        expect(is_md5 == sample.etag_is_md5, f"{sample.name}: the ETag that S3 would give")
        should_be = sealed_object_size(size) if sample.is_sealed else size
        expect(stored == should_be, f"{sample.name}: {should_be} bytes at the store, not {stored}")
        rows.append((sample.name, sample.mode, f"{size:,}", etag, f"{stored:,}"))
    _show(stage, ("object", "mode", "size", "ETag", "stored"), rows)
    return "sizes are the plaintext's, and so are ETags: its MD5 (SSE-C: none, as in S3)"


def look_at_disk(stage: Stage) -> str:
    """The first bytes in the store's volume files; no plaintext but the one of mode none."""
    folder = stage.store.data_dir
    sealed = sealed_objects(folder)
    rows = []
    for sample in stage.samples:
        plaintext = find(folder, sample.marker)
        if sample.is_sealed:
            expect(not plaintext, f"no plaintext of {sample.name} in any file of the store")
            expect(len(sample.data) in sealed, f"the sealed {sample.name} in a file of the store")
            place = sealed[len(sample.data)]
        else:
            expect(plaintext, f"the plaintext of {sample.name} in a file of the store")
            place = plaintext[0]
        rows.append((sample.name, place.place, *_dump(place)))
    for form in (stage.customer_key, base64.b64encode(stage.customer_key)):
        expect(not find(folder, form), "the customer's key nowhere on the store's disk")
    _show(stage, ("object", "file:offset", "first bytes", "as text"), rows)
    return f"sealed objects start with {MAGIC.hex(' ')}; no plaintext and no customer key is there"


def read_back(stage: Stage) -> str:
    """Each object whole, a range over a segment boundary, and SSE-C without its key."""
    for sample in stage.samples:
        got = stage.s3.get_object(Bucket=BUCKET, Key=sample.name, **sample.get)["Body"].read()
        expect(got == sample.data, f"{sample.name} comes back as it went in")
    sealed = stage.samples[1]
    start, stop = SEGMENT_BYTES - 50, SEGMENT_BYTES + 50
    wanted = {"Bucket": BUCKET, "Key": sealed.name, "Range": f"bytes={start}-{stop - 1}"}
    part = stage.s3.get_object(**wanted)
    expect(part["Body"].read() == sealed.data[start:stop], "the range is a slice of the plaintext")
    expect(
        part["ContentRange"] == f"bytes {start}-{stop - 1}/{len(sealed.data)}",
        "Content-Range speaks of the plaintext",
    )
    own = stage.samples[2]
    other = {**own.get, "SSECustomerKey": secrets.token_bytes(32)}
    without, wrong = _status(stage, own, {}), _status(stage, own, other)
    expect(without == 400, "400 for SSE-C without its key")
    expect(wrong == 403, "403 for SSE-C with another key")
    return f"whole, and bytes {start}-{stop - 1}; SSE-C without its key {without}, wrong {wrong}"


def refuse_anonymous(stage: Stage) -> str:
    """A bucket that anyone may read at the store: its plaintext stays public, no more."""
    stage.s3.create_bucket(Bucket=PUBLIC_BUCKET)
    plain, sealed = stage.samples[:2]
    for sample in (plain, sealed):
        stage.s3.put_object(Bucket=PUBLIC_BUCKET, Key=sample.name, Body=sample.data, **sample.put)
    status, body = stage.anonymous(PUBLIC_BUCKET, plain.name)
    expect((status, body) == (200, plain.data), "the public plaintext object is still public")
    status, body = stage.anonymous(PUBLIC_BUCKET, sealed.name)
    expect(status == 403, f"403 for an unsigned request for an encrypted object, not {status}")
    expect(sealed.marker not in body, "no plaintext in the refusal")
    return f"plaintext object 200, encrypted object {status} AccessDenied"


def catch_a_flipped_byte(stage: Stage) -> str:
    """One bit changed behind the proxy's back: nothing of the object is served."""
    sample = stage.samples[1]
    stored = stage.raw.get_object(Bucket=BUCKET, Key=sample.name)
    sealed, metadata = stored["Body"].read(), stored["Metadata"]
    at = HEADER_BYTES + 1000
    flipped = sealed[:at] + bytes([sealed[at] ^ 1]) + sealed[at + 1 :]
    target = {"Bucket": BUCKET, "Key": sample.name, "Metadata": metadata}
    stage.raw.put_object(**target, Body=flipped)
    try:
        got = stage.s3.get_object(Bucket=BUCKET, Key=sample.name)["Body"].read()
    except (ClientError, BotoCoreError) as error:
        answer = _answer(error)
    else:
        raise StepFailed(f"expected: a refusal; the proxy served {len(got)} altered bytes")
    finally:
        stage.raw.put_object(**target, Body=sealed)
    got = stage.s3.get_object(Bucket=BUCKET, Key=sample.name)["Body"].read()
    expect(got == sample.data, "the restored object opens again")
    return f"byte {at} changed at the store: {answer}; put back: opens again"


def show_metrics(stage: Stage) -> str:
    """The counters that all this moved."""
    before, now = stage.metrics_before, stage.metrics()
    moved = {place: value - before.get(place, 0) for place, value in sorted(now.items())}
    moved = {place: difference for place, difference in moved.items() if difference > 0}
    rows = []
    for metric in (_REQUESTS, *_METRICS):
        name = f"sseproxy_{metric}_total"
        found = {labels: by for (counter, labels), by in moved.items() if counter == name}
        expect(found, f"the metric {name} moved")
        rows += [(metric, labels, f"+{by:,.0f}") for labels, by in found.items()]
    shown = [row for row in rows if row[0] != _REQUESTS or "Object" in row[1]]
    _show(stage, ("counter", "labels", "moved by"), shown)
    return f"{len(moved)} counters moved; all of them: {stage.admin}/metrics"


STEPS: tuple[tuple[str, Step], ...] = (
    ("Upload in each mode", upload),
    ("Look at the store's own disk", look_at_disk),
    ("Read it back", read_back),
    ("Ask without a signature, in a public bucket", refuse_anonymous),
    ("Flip one byte at the store", catch_a_flipped_byte),
    ("Look at the metrics", show_metrics),
)


def _status(stage: Stage, sample: Sample, headers: Arguments) -> int:
    try:
        stage.s3.get_object(Bucket=BUCKET, Key=sample.name, **headers)["Body"].read()
    except ClientError as error:
        return int(error.response["ResponseMetadata"]["HTTPStatusCode"])
    return 200


def _answer(error: Exception) -> str:
    if isinstance(error, ClientError):
        status = error.response["ResponseMetadata"]["HTTPStatusCode"]
        return f"{status} {error.response['Error']['Code']}"
    return "the connection is dropped before the first byte"


def _dump(found: Found) -> tuple[str, str]:
    start = found.start[:_SHOWN_BYTES]
    text = "".join(chr(byte) if 32 <= byte < 127 else "·" for byte in start)
    return start.hex(" "), text


def _show(stage: Stage, columns: Iterable[str], rows: Iterable[tuple[str, ...]]) -> None:
    table = Table(box=None, padding=(0, 2, 0, 0), pad_edge=False, header_style="dim")
    for column in columns:
        right = column in ("size", "stored", "moved by")
        table.add_column(column, justify="right" if right else "left", no_wrap=True)
    for row in rows:
        table.add_row(*(Text(cell) for cell in row))
    stage.console.print(table)
