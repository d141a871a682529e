"""A bucket's default encryption, and its XML in both dialects (protocol.md 1.4, 3.1, 3.4)."""

from __future__ import annotations

from dataclasses import dataclass

from lxml import etree

from sseproxy.s3.faults import Fault, S3Error
from sseproxy.s3.request import Dialect
from sseproxy.s3.sse_names import SseMode
from sseproxy.s3.xml import Content, children, document, parse_client_xml

_ROOT = "ServerSideEncryptionConfiguration"
_DEFAULT = "ApplyServerSideEncryptionByDefault"
_BLOCKED = "BlockedEncryptionTypes"
_KMS = {Dialect.S3: "aws:kms", Dialect.COS: "KMS"}
_RULE = {
    Dialect.S3: (_DEFAULT, "BucketKeyEnabled", _BLOCKED),
    Dialect.COS: (_DEFAULT, "BucketKeyEnabled"),
}
_APPLY = {
    Dialect.S3: ("SSEAlgorithm", "KMSMasterKeyID"),
    Dialect.COS: ("SSEAlgorithm", "KMSMasterKeyID", "KMSAlgorithm"),
}


@dataclass(frozen=True, slots=True)
class BucketEncryption:
    """What PutBucketEncryption says.

    mode: SSE_COS or SSE_KMS. key_id, bucket_key: of SSE-KMS; no key id is the default key.
    blocks_sse_c: new SSE-C writes are refused.
    """

    mode: SseMode
    key_id: str | None = None
    bucket_key: bool = False
    blocks_sse_c: bool = False


def parse_bucket_encryption(body: bytes, dialect: Dialect) -> BucketEncryption:
    """Read the body of PutBucketEncryption.

    A rule that names no default means SSE-S3, as at Amazon. Raises S3Error: MalformedXML,
    InvalidArgument, NotImplemented (dual-layer encryption), SSEContentNotSupported (SM4).
    """
    root = parse_client_xml(body, _ROOT)
    rules = _elements(root, ("Rule",))
    if len(rules) != 1:
        raise S3Error(Fault.MalformedXML)
    parts = _once(rules[0], _RULE[dialect])
    if not parts:
        raise S3Error(Fault.MalformedXML)
    mode, key_id = SseMode.SSE_COS, None
    if _DEFAULT in parts:
        mode, key_id = _parse_default(parts[_DEFAULT], dialect)
    return BucketEncryption(
        mode=mode,
        key_id=key_id,
        bucket_key="BucketKeyEnabled" in parts and _boolean(parts["BucketKeyEnabled"]),
        blocks_sse_c=_BLOCKED in parts and _parse_blocked(parts[_BLOCKED]),
    )


def bucket_encryption_xml(encryption: BucketEncryption, dialect: Dialect) -> bytes:
    """The answer to GetBucketEncryption. COS has no name for blocked types: not shown there."""
    default = {"SSEAlgorithm": "AES256"}
    if encryption.mode is SseMode.SSE_KMS:
        default = {"SSEAlgorithm": _KMS[dialect]}
        if encryption.key_id is not None:
            default["KMSMasterKeyID"] = encryption.key_id
    rule: dict[str, Content] = {_DEFAULT: default}
    if dialect is Dialect.COS:
        return document(_ROOT, {"Rule": rule}, namespaced=False)
    rule["BucketKeyEnabled"] = "true" if encryption.bucket_key else "false"
    if encryption.blocks_sse_c:
        rule[_BLOCKED] = {"EncryptionType": "SSE-C"}
    return document(_ROOT, {"Rule": rule})


def _parse_default(element: etree._Element, dialect: Dialect) -> tuple[SseMode, str | None]:
    parts = {name: _text(part) for name, part in _once(element, _APPLY[dialect]).items()}
    algorithm = parts.get("SSEAlgorithm")
    if algorithm == "aws:kms:dsse" and dialect is Dialect.S3:
        # A single layer in its place would be weaker than what was asked for.
        raise S3Error(Fault.NotImplemented, "Dual-layer encryption (aws:kms:dsse) is not offered.")
    if dialect is Dialect.COS and "SM4" in (algorithm, parts.get("KMSAlgorithm")):
        raise S3Error(Fault.SSEContentNotSupported, "SM4 is not supported; use AES256.")
    if algorithm not in ("AES256", _KMS[dialect]):
        raise S3Error(Fault.MalformedXML)
    if parts.get("KMSAlgorithm", "AES256") != "AES256":
        raise S3Error(Fault.MalformedXML)
    if algorithm != "AES256":
        return SseMode.SSE_KMS, parts.get("KMSMasterKeyID") or None
    if len(parts) > 1:
        raise S3Error(
            Fault.InvalidArgument,
            f"A KMS key is not applicable if the default encryption is {algorithm}.",
            ArgumentName=_DEFAULT,
        )
    return SseMode.SSE_COS, None


def _parse_blocked(element: etree._Element) -> bool:
    types = {_text(part) for part in _elements(element, ("EncryptionType",))}
    if types not in ({"NONE"}, {"SSE-C"}):
        raise S3Error(Fault.MalformedXML)
    return types == {"SSE-C"}


def _once(parent: etree._Element, allowed: tuple[str, ...]) -> dict[str, etree._Element]:
    """The child elements by name, each at most once and of these names."""
    found = {etree.QName(part).localname: part for part in _elements(parent, allowed)}
    if len(found) != len(_elements(parent, allowed)):
        raise S3Error(Fault.MalformedXML)
    return found


def _elements(parent: etree._Element, allowed: tuple[str, ...]) -> list[etree._Element]:
    found = list(children(parent, *allowed))
    if len(found) != sum(isinstance(part.tag, str) for part in parent):
        raise S3Error(Fault.MalformedXML)
    return found


def _text(element: etree._Element) -> str:
    if len(element):
        raise S3Error(Fault.MalformedXML)
    return (element.text or "").strip()


def _boolean(element: etree._Element) -> bool:
    value = {"true": True, "1": True, "false": False, "0": False}.get(_text(element).lower())
    if value is None:
        raise S3Error(Fault.MalformedXML)
    return value
