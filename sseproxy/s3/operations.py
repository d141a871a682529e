"""Method, target, query and headers -> the S3 operation; also the metrics' label.

The routes (`operation_routes`) are matched exactly: a request is an operation only if nothing
about it could make a store take it for another. What is left over is Unknown*; an unknown write
on an object is never forwarded, since it might store plaintext (semantics.md, "Everything else").
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from enum import Enum
from typing import Literal

from sseproxy.s3 import operation_routes as routes
from sseproxy.s3.addressing import Target

Scope = Literal["service", "bucket", "object"]


class Operation(Enum):
    """Every operation of S3 by its API name, and what is none of them."""

    AbortMultipartUpload = "AbortMultipartUpload"
    CompleteMultipartUpload = "CompleteMultipartUpload"
    CopyObject = "CopyObject"
    CreateBucket = "CreateBucket"
    CreateBucketMetadataConfiguration = "CreateBucketMetadataConfiguration"
    CreateBucketMetadataTableConfiguration = "CreateBucketMetadataTableConfiguration"
    CreateMultipartUpload = "CreateMultipartUpload"
    CreateSession = "CreateSession"
    DeleteBucket = "DeleteBucket"
    DeleteBucketAnalyticsConfiguration = "DeleteBucketAnalyticsConfiguration"
    DeleteBucketCors = "DeleteBucketCors"
    DeleteBucketEncryption = "DeleteBucketEncryption"
    DeleteBucketIntelligentTieringConfiguration = "DeleteBucketIntelligentTieringConfiguration"
    DeleteBucketInventoryConfiguration = "DeleteBucketInventoryConfiguration"
    DeleteBucketLifecycle = "DeleteBucketLifecycle"
    DeleteBucketMetadataConfiguration = "DeleteBucketMetadataConfiguration"
    DeleteBucketMetadataTableConfiguration = "DeleteBucketMetadataTableConfiguration"
    DeleteBucketMetricsConfiguration = "DeleteBucketMetricsConfiguration"
    DeleteBucketOwnershipControls = "DeleteBucketOwnershipControls"
    DeleteBucketPolicy = "DeleteBucketPolicy"
    DeleteBucketReplication = "DeleteBucketReplication"
    DeleteBucketTagging = "DeleteBucketTagging"
    DeleteBucketWebsite = "DeleteBucketWebsite"
    DeleteObject = "DeleteObject"
    DeleteObjectAnnotation = "DeleteObjectAnnotation"
    DeleteObjectTagging = "DeleteObjectTagging"
    DeleteObjects = "DeleteObjects"
    DeletePublicAccessBlock = "DeletePublicAccessBlock"
    GetBucketAbac = "GetBucketAbac"
    GetBucketAccelerateConfiguration = "GetBucketAccelerateConfiguration"
    GetBucketAcl = "GetBucketAcl"
    GetBucketAnalyticsConfiguration = "GetBucketAnalyticsConfiguration"
    GetBucketCors = "GetBucketCors"
    GetBucketEncryption = "GetBucketEncryption"
    GetBucketIntelligentTieringConfiguration = "GetBucketIntelligentTieringConfiguration"
    GetBucketInventoryConfiguration = "GetBucketInventoryConfiguration"
    GetBucketLifecycleConfiguration = "GetBucketLifecycleConfiguration"
    GetBucketLocation = "GetBucketLocation"
    GetBucketLogging = "GetBucketLogging"
    GetBucketMetadataConfiguration = "GetBucketMetadataConfiguration"
    GetBucketMetadataTableConfiguration = "GetBucketMetadataTableConfiguration"
    GetBucketMetricsConfiguration = "GetBucketMetricsConfiguration"
    GetBucketNotificationConfiguration = "GetBucketNotificationConfiguration"
    GetBucketOwnershipControls = "GetBucketOwnershipControls"
    GetBucketPolicy = "GetBucketPolicy"
    GetBucketPolicyStatus = "GetBucketPolicyStatus"
    GetBucketReplication = "GetBucketReplication"
    GetBucketRequestPayment = "GetBucketRequestPayment"
    GetBucketTagging = "GetBucketTagging"
    GetBucketVersioning = "GetBucketVersioning"
    GetBucketWebsite = "GetBucketWebsite"
    GetObject = "GetObject"
    GetObjectAcl = "GetObjectAcl"
    GetObjectAnnotation = "GetObjectAnnotation"
    GetObjectAttributes = "GetObjectAttributes"
    GetObjectLegalHold = "GetObjectLegalHold"
    GetObjectLockConfiguration = "GetObjectLockConfiguration"
    GetObjectRetention = "GetObjectRetention"
    GetObjectTagging = "GetObjectTagging"
    GetObjectTorrent = "GetObjectTorrent"
    GetPublicAccessBlock = "GetPublicAccessBlock"
    HeadBucket = "HeadBucket"
    HeadObject = "HeadObject"
    ListBucketAnalyticsConfigurations = "ListBucketAnalyticsConfigurations"
    ListBucketIntelligentTieringConfigurations = "ListBucketIntelligentTieringConfigurations"
    ListBucketInventoryConfigurations = "ListBucketInventoryConfigurations"
    ListBucketMetricsConfigurations = "ListBucketMetricsConfigurations"
    ListBuckets = "ListBuckets"
    ListDirectoryBuckets = "ListDirectoryBuckets"
    ListMultipartUploads = "ListMultipartUploads"
    ListObjectAnnotations = "ListObjectAnnotations"
    ListObjectVersions = "ListObjectVersions"
    ListObjects = "ListObjects"
    ListObjectsV2 = "ListObjectsV2"
    ListParts = "ListParts"
    PostObject = "PostObject"
    PutBucketAbac = "PutBucketAbac"
    PutBucketAccelerateConfiguration = "PutBucketAccelerateConfiguration"
    PutBucketAcl = "PutBucketAcl"
    PutBucketAnalyticsConfiguration = "PutBucketAnalyticsConfiguration"
    PutBucketCors = "PutBucketCors"
    PutBucketEncryption = "PutBucketEncryption"
    PutBucketIntelligentTieringConfiguration = "PutBucketIntelligentTieringConfiguration"
    PutBucketInventoryConfiguration = "PutBucketInventoryConfiguration"
    PutBucketLifecycleConfiguration = "PutBucketLifecycleConfiguration"
    PutBucketLogging = "PutBucketLogging"
    PutBucketMetricsConfiguration = "PutBucketMetricsConfiguration"
    PutBucketNotificationConfiguration = "PutBucketNotificationConfiguration"
    PutBucketOwnershipControls = "PutBucketOwnershipControls"
    PutBucketPolicy = "PutBucketPolicy"
    PutBucketReplication = "PutBucketReplication"
    PutBucketRequestPayment = "PutBucketRequestPayment"
    PutBucketTagging = "PutBucketTagging"
    PutBucketVersioning = "PutBucketVersioning"
    PutBucketWebsite = "PutBucketWebsite"
    PutObject = "PutObject"
    PutObjectAcl = "PutObjectAcl"
    PutObjectAnnotation = "PutObjectAnnotation"
    PutObjectLegalHold = "PutObjectLegalHold"
    PutObjectLockConfiguration = "PutObjectLockConfiguration"
    PutObjectRetention = "PutObjectRetention"
    PutObjectTagging = "PutObjectTagging"
    PutPublicAccessBlock = "PutPublicAccessBlock"
    RenameObject = "RenameObject"
    RestoreObject = "RestoreObject"
    SelectObjectContent = "SelectObjectContent"
    UpdateBucketMetadataAnnotationTableConfiguration = (
        "UpdateBucketMetadataAnnotationTableConfiguration"
    )
    UpdateBucketMetadataInventoryTableConfiguration = (
        "UpdateBucketMetadataInventoryTableConfiguration"
    )
    UpdateBucketMetadataJournalTableConfiguration = "UpdateBucketMetadataJournalTableConfiguration"
    UpdateObjectEncryption = "UpdateObjectEncryption"
    UploadPart = "UploadPart"
    UploadPartCopy = "UploadPartCopy"
    WriteGetObjectResponse = "WriteGetObjectResponse"
    OptionsObject = "OptionsObject"
    UnknownService = "UnknownService"
    UnknownBucketRead = "UnknownBucketRead"
    UnknownBucketWrite = "UnknownBucketWrite"
    UnknownObjectRead = "UnknownObjectRead"
    UnknownObjectWrite = "UnknownObjectWrite"

    # Deprecated names of requests that are the same on the wire.
    GetBucketLifecycle = GetBucketLifecycleConfiguration
    PutBucketLifecycle = PutBucketLifecycleConfiguration
    GetBucketNotification = GetBucketNotificationConfiguration
    PutBucketNotification = PutBucketNotificationConfiguration

    @property
    def scope(self) -> Scope:
        """What the request addresses: the service, a bucket or an object."""
        return _SCOPES[self]

    @property
    def writes_object_data(self) -> bool:
        """It stores bytes of an object or decides how they are stored.

        True also for what a store that does not know the sub-resource would take for PutObject.
        """
        return self in _WRITES

    @property
    def reads_object_data(self) -> bool:
        """Its answer or what it writes tells of an object's bytes, size, ETag or checksum."""
        return self in _READS


_WRITES = frozenset(
    {
        Operation.PutObject,
        Operation.PostObject,
        Operation.CopyObject,
        Operation.CreateMultipartUpload,
        Operation.UploadPart,
        Operation.UploadPartCopy,
        Operation.CompleteMultipartUpload,
        Operation.PutObjectAnnotation,
        Operation.RenameObject,
        Operation.UpdateObjectEncryption,
        Operation.UnknownObjectWrite,
    }
)
_READS = frozenset(
    {
        Operation.GetObject,
        Operation.HeadObject,
        Operation.GetObjectAttributes,
        Operation.GetObjectTorrent,
        Operation.SelectObjectContent,
        Operation.CopyObject,
        Operation.UploadPartCopy,
        Operation.RenameObject,
        Operation.RestoreObject,
        Operation.UnknownObjectRead,
    }
)


@dataclass(frozen=True, slots=True)
class _Route:
    operation: Operation
    required: frozenset[str]
    allowed: frozenset[str]


def _read_table() -> tuple[dict[tuple[str, str], list[_Route]], dict[Operation, Scope]]:
    scopes: dict[Operation, Scope] = {
        Operation.OptionsObject: "object",
        Operation.UnknownService: "service",
        Operation.UnknownBucketRead: "bucket",
        Operation.UnknownBucketWrite: "bucket",
        Operation.UnknownObjectRead: "object",
        Operation.UnknownObjectWrite: "object",
    }
    kinds: dict[str, Scope] = {"service": "service", "bucket": "bucket", "object": "object"}
    table: dict[tuple[str, str], list[_Route]] = {}
    for line in routes.TABLE.strip().splitlines():
        method, scope, required_text, optional, name = line.split()
        required = frozenset(required_text.split("&")) - {"-"}
        allowed = required | (frozenset(routes.OPTIONAL.get(optional, optional).split()) - {"-"})
        route = _Route(Operation(name), required, allowed)
        table.setdefault((method, scope), []).append(route)
        scopes[route.operation] = kinds[scope]
    for candidates in table.values():
        candidates.sort(key=lambda route: len(route.required), reverse=True)
    return table, scopes


_ROUTES, _SCOPES = _read_table()


def classify(
    method: str, target: Target, query: Mapping[str, str], headers: Mapping[str, str]
) -> Operation:
    """The operation that a request is, or which Unknown*. Never raises.

    query: decoded, the first value of each name; headers: lower-case names. What decides must
    match exactly; on GET and HEAD of an object an unknown name with a value is ignored, as S3
    does, and one without is an unknown sub-resource.
    """
    scope = _scope(target)
    if method == "OPTIONS" and scope != "service":
        return Operation.OptionsObject
    facts = frozenset(_names(method, scope, query)) | frozenset(_facts(method, target, headers))
    for route in _ROUTES.get((method, scope), ()):
        if route.required <= facts <= route.allowed:
            return route.operation
    return _unknown(method, scope, facts)


def _scope(target: Target) -> Scope:
    if target.bucket is None:
        return "service"
    return "bucket" if target.key is None else "object"


def _unknown(method: str, scope: Scope, facts: frozenset[str]) -> Operation:
    if scope == "service":
        return Operation.UnknownService
    reading = method in ("GET", "HEAD")
    # A store that sees the form first would take it for PostObject, whatever the sub-resource.
    if scope == "object" or "@form" in facts:
        return Operation.UnknownObjectRead if reading else Operation.UnknownObjectWrite
    return Operation.UnknownBucketRead if reading else Operation.UnknownBucketWrite


def _names(method: str, scope: Scope, query: Mapping[str, str]) -> Iterator[str]:
    """What the query says about what is done: sub-resources and their parameters."""
    lenient = scope == "object" and method in ("GET", "HEAD")
    for name, value in query.items():
        lower = name.lower()
        if _redirects_write(lower) and not lenient:
            yield f"@query:{lower}"  # a store may honour it there as it does in a header
        elif lower in routes.NEUTRAL or lower.startswith(routes.NEUTRAL_PREFIXES):
            continue
        elif name == "list-type" and value != "2":
            continue  # a store lists as if it were not there
        elif name in routes.VALUED:
            yield f"{name}={value}"
        elif name in _KNOWN or name in routes.PROCESSING or not (lenient and value):
            yield name


def _facts(method: str, target: Target, headers: Mapping[str, str]) -> Iterator[str]:
    """What the headers say about what is done, as "@..." names."""
    if target.bucket is None and headers.get("host", "").startswith("s3express-control."):
        yield "@express"
    if method not in ("PUT", "POST"):
        return
    if method == "POST" and "multipart/form-data" in headers.get("content-type", "").lower():
        yield "@form"
    if target.bucket == "WriteGetObjectResponse" and "x-amz-request-route" in headers:
        yield "@response"
    if target.key is None:
        return
    for name in headers:
        if name in routes.COPY_SOURCE:
            yield "@copy"
        elif name == routes.RENAME_SOURCE:
            yield "@rename"
        elif _redirects_write(name):
            yield f"@header:{name}"


def _redirects_write(name: str) -> bool:
    return (
        name in routes.CHANGES_WRITES
        or name in routes.COPY_SOURCE
        or name == routes.RENAME_SOURCE
        or name.startswith(routes.CHANGES_WRITES_PREFIX)
    )


# Names that are a sub-resource of an object even where they have a value.
_KNOWN = {
    name
    for (_, scope), candidates in _ROUTES.items()
    if scope == "object"
    for route in candidates
    for name in route.allowed - {"@list"}
}
