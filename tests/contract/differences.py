"""Where the proxy's answers may differ from the store's, and why.

A difference that is not here fails a test, and so does a pattern here that nothing matches any
more. The table of docs/compatibility.md is made of these: `python -m tests.contract.differences`
prints it.
"""

from __future__ import annotations

from collections.abc import Iterator

from tests.contract.comparing import ALL, BOTH, ENCRYPTED, MINIO, SEAWEEDFS, Difference
from tests.contract.in_places import IN_PLACES
from tests.contract.outcomes import OUTCOMES, Outcome

# All but Code.
_ERROR_DETAILS = ("xml Error/[!C]*", "xml Error/C[!o]*", "xml Error/Co[!d]*")

_EVERYWHERE = (
    Difference(BOTH, ALL, ("*",), ("header server",), "The proxy says that it answers."),
    Difference(
        BOTH,
        ALL,
        ("*",),
        _ERROR_DETAILS,
        "An error has S3's elements, in the proxy's words; status and Code are what S3 has.",
    ),
    Difference(
        SEAWEEDFS,
        ALL,
        ("*",),
        ("header accept-ranges", "header vary"),
        "The store sends these with every answer; answers of the proxy's own have none.",
        proxied="-",
    ),
    Difference(
        MINIO,
        ALL,
        ("*",),
        (
            *("header accept-ranges", "header vary", "header strict-transport-security"),
            *("header x-content-type-options", "header x-xss-protection"),
            *("header x-ratelimit-*", "header x-amz-id-2"),
        ),
        "The store sends these with every answer; answers of the proxy's own have none.",
        proxied="-",
    ),
    Difference(
        MINIO,
        ALL,
        ("* / pre-flight *", "* / POST on a bucket"),
        ("header x-amz-request-id",),
        "Every answer of the proxy's has a request id.",
        "-",
    ),
    Difference(
        SEAWEEDFS,
        ENCRYPTED,
        ("* / head*",),
        ("header content-length",),
        "A refused HEAD has no body; the store tells what its length would be.",
        proxied="-",
    ),
    Difference(
        MINIO,
        ALL,
        ("* / head*",),
        (
            *("header content-length", "header content-type", "header etag"),
            *("header last-modified", "header x-minio-error-*"),
        ),
        "A refused HEAD says nothing of the object; the store describes its error in headers.",
    ),
    Difference(
        MINIO,
        ALL,
        (
            *("* / *match*", "* / *modified since*", "parts_copied / condition"),
            *("conditional_writes / absent again*", "conditional_completions / absent"),
        ),
        ("header etag", "header last-modified"),
        "MinIO tells the ETag with a failed condition; that of the ciphertext is kept back.",
        proxied="-",
    ),
)

_ENCRYPTED = (
    Difference(
        BOTH,
        ENCRYPTED,
        ("*",),
        ("header x-amz-server-side-encryption",),
        "The answer says how the object is encrypted.",
        "-",
        "AES256",
    ),
    Difference(
        SEAWEEDFS,
        ENCRYPTED,
        ("*",),
        ("header content-type",),
        "The store guesses a type that was not given from the data, which is ciphertext.",
        "*",
        "application/octet-stream",
    ),
    Difference(
        SEAWEEDFS,
        ENCRYPTED,
        ("*",),
        ("header seaweed-x-amz-etag",),
        "The store's own header with the ETag would tell the ciphertext's.",
        "*",
        "-",
    ),
    Difference(
        SEAWEEDFS,
        ENCRYPTED,
        ("conditional_reads / *",),
        ("header last-modified",),
        "A 304 tells when the object was changed, as S3's does.",
        "-",
        "<date>",
    ),
    Difference(
        BOTH,
        ENCRYPTED,
        ("checksums* / *",),
        ("header x-amz-checksum-*", "xml *Checksum*"),
        "S3 also tells the checksum's type, and has the algorithms of 2026.",
        "-",
        "*",
    ),
    Difference(
        SEAWEEDFS,
        ENCRYPTED,
        ("attributes / *",),
        ("header x-amz-checksum-*", "xml *Checksum*"),
        "S3 also tells the checksum's type.",
        "-",
        "*",
    ),
    Difference(
        SEAWEEDFS,
        ENCRYPTED,
        ("*cop* / *",),
        ("xml", "header etag", "xml CopyObjectResult/ETag", "xml CopyPartResult/ETag"),
        "S3's answer to a copy has a namespace and a quoted ETag, and no header ETag.",
    ),
    Difference(
        SEAWEEDFS,
        ENCRYPTED,
        ("parts_copied / *",),
        ("header etag", "xml *ETag"),
        "The store gives a copied part the ETag of its whole source.",
    ),
    Difference(
        MINIO,
        ENCRYPTED,
        ("*cop* / *",),
        ("header etag", "header x-amz-checksum-*"),
        "MinIO repeats the result of a copy in headers; S3 does not.",
        proxied="-",
    ),
    Difference(
        MINIO,
        ENCRYPTED,
        ("* / *complete*",),
        ("header etag", "header x-amz-checksum-*"),
        "MinIO repeats the result of a completion in headers; S3 does not.",
        proxied="-",
    ),
    Difference(
        BOTH,
        ENCRYPTED,
        ("attributes / *", "* / *attributes"),
        ("xml", "xml GetObjectAttributesResponse*"),
        "S3's document: with a namespace, parts only where they have checksums of their own.",
    ),
    Difference(
        MINIO,
        ENCRYPTED,
        ("ranges / *", "an_upload / past the end"),
        ("header content-range",),
        "A 416 tells the size, as RFC 9110 has it.",
        "-",
        "bytes *",
    ),
)


def _outcomes() -> Iterator[Difference]:
    for row in OUTCOMES:
        yield _difference(row)


def _difference(row: Outcome) -> Difference:
    fields = ("status", "xml Error/Code")
    return Difference(row.stores, row.buckets, row.where, fields, row.reason)


ALLOWED: tuple[Difference, ...] = (*_EVERYWHERE, *_ENCRYPTED, *IN_PLACES, *_outcomes())


def rows() -> Iterator[str]:
    """The lines of the table in docs/compatibility.md."""
    names = {BOTH: "both", SEAWEEDFS: "SeaweedFS", MINIO: "MinIO"}
    for one in ALLOWED:
        buckets = "all" if one.buckets == ALL else one.buckets
        where = "every answer" if one.where == ("*",) else ", ".join(f"`{w}`" for w in one.where)
        fields = ", ".join(f"`{name}`" for name in one.fields)
        yield f"| {names[one.stores]} | {buckets} | {where} | {fields} | {one.reason} |"


if __name__ == "__main__":
    print("\n".join(rows()))
