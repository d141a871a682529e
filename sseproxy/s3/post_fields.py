"""What the fields of a form upload mean: the headers of a PUT, its key, and the answer.

Fields are by lower-case name, as `form.FormReader` gives them.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from urllib.parse import SplitResult, quote, urlencode, urlsplit

from sseproxy.s3.addressing import check_key
from sseproxy.s3.faults import Fault, S3Error
from sseproxy.s3.request import Dialect
from sseproxy.s3.xml import children, document, parse_client_xml, text_of

VARIABLE = "${filename}"

_CONTENT = {
    *("cache-control", "content-disposition", "content-encoding", "content-language"),
    *("content-md5", "content-type", "expires"),
}
_PREFIXES = tuple(dialect.prefix for dialect in Dialect)
# Of the form's signature, or about how a body is framed that is not the form's file.
_NO_HEADERS = {
    *("x-amz-algorithm", "x-amz-credential", "x-amz-date", "x-amz-signature"),
    *("x-amz-security-token", "x-cos-security-token", "x-amz-content-sha256"),
    *("x-amz-decoded-content-length", "x-amz-trailer"),
}
_NAME = re.compile(r"[!#$%&'*+\-.^_`|~0-9a-z]+")  # RFC 9110, 5.6.2, in lower case
_NOT_IN_VALUE = re.compile(r"[\x00-\x08\x0a-\x1f\x7f]")


def with_filename(fields: Mapping[str, str], filename: str) -> dict[str, str]:
    """The fields with S3's one variable replaced; policies are about the result."""
    return {name: value.replace(VARIABLE, filename) for name, value in fields.items()}


def key_of(fields: Mapping[str, str]) -> str:
    """The key to write. Raises S3Error: InvalidArgument, or what `check_key` raises."""
    key = fields.get("key")
    if key is None:
        raise missing_field("key")
    if not key:
        raise S3Error(
            Fault.InvalidArgument,
            "User key must have a length greater than 0.",
            ArgumentName="key",
        )
    return check_key(key)


def missing_field(name: str) -> S3Error:
    """The answer to a form without a field that it must have before the file."""
    return S3Error(
        Fault.InvalidArgument,
        f"Bucket POST must contain a field named '{name}'.  "
        "If it is specified, please check the order of the fields.",
        ArgumentName=name,
        ArgumentValue="",
    )


def upload_headers(fields: Mapping[str, str]) -> dict[str, str]:
    """The headers of the PUT that does what the form asks for.

    Raises S3Error: InvalidArgument for what could not be a header (line breaks), MalformedXML
    and InvalidTag for `tagging`.
    """
    headers = {
        name: value.strip(" \t")
        for name, value in fields.items()
        if name in _CONTENT or (name.startswith(_PREFIXES) and name not in _NO_HEADERS)
    }
    if "acl" in fields:
        headers["x-amz-acl"] = fields["acl"]
    if "tagging" in fields:
        headers["x-amz-tagging"] = _tagging(fields["tagging"])
    for name, value in headers.items():
        if not _NAME.fullmatch(name) or _NOT_IN_VALUE.search(value):
            raise S3Error(
                Fault.InvalidArgument,
                "A form field stands for a header, and its name or value can't be one.",
                ArgumentName=name,
            )
    return headers


def _tagging(text: str) -> str:
    """A Tagging document as PUT's header has it."""
    root = parse_client_xml(text.encode(), "Tagging")
    tags: list[tuple[str, str]] = []
    for tag_set in children(root, "TagSet"):
        for tag in children(tag_set, "Tag"):
            key, value = text_of(tag, "Key"), text_of(tag, "Value")
            if not key or value is None:
                raise S3Error(Fault.MalformedXML)
            tags.append((key, value))
    if len({key for key, _ in tags}) < len(tags):
        raise S3Error(Fault.InvalidTag, "Cannot provide multiple Tags with the same key")
    return _encoded(tags)


@dataclass(frozen=True, slots=True)
class PostAnswer:
    """How a form's success is answered: status, headers (lower-case names), body."""

    status: int
    headers: dict[str, str]
    body: bytes = b""


def answer(fields: Mapping[str, str], bucket: str, key: str, etag: str, base: str) -> PostAnswer:
    """What `success_action_redirect` and `success_action_status` ask for.

    etag: unquoted. base: scheme, host and path of the bucket, with a "/" at its end. What S3
    doesn't know counts as not said: the answer is 204.
    """
    redirect = _address(fields.get("success_action_redirect", fields.get("redirect", "")))
    if redirect is not None:
        result = _encoded([("bucket", bucket), ("key", key), ("etag", f'"{etag}"')])
        query = f"{redirect.query}&{result}" if redirect.query else result
        return PostAnswer(303, {"location": redirect._replace(query=query).geturl()})
    location = base + quote(key, safe="")  # S3 encodes its slashes here
    headers = {"location": location}
    status = fields.get("success_action_status")
    if status != "201":
        return PostAnswer(200 if status == "200" else 204, headers)
    content = {"Location": location, "Bucket": bucket, "Key": key, "ETag": f'"{etag}"'}
    headers["content-type"] = "application/xml"
    return PostAnswer(201, headers, document("PostResponse", content, namespaced=False))


def _encoded(pairs: list[tuple[str, str]]) -> str:
    return urlencode(pairs, safe="", quote_via=quote)


def _address(text: str) -> SplitResult | None:
    """An absolute address of the web that can be sent as a header, or None."""
    if not (text.isascii() and text.isprintable()) or " " in text:
        return None
    try:
        parts = urlsplit(text)
    except ValueError:
        return None
    return parts if parts.scheme in ("http", "https") and parts.netloc else None
