"""What an anonymous request for an encrypted object must get, for every operation there is."""

from __future__ import annotations

from dataclasses import dataclass, field
from enum import Enum, auto

from sseproxy.s3 import operation_routes
from sseproxy.s3.operations import Operation as Op


class Expected(Enum):
    """What comes back. In every case nothing of the object does, beside what is said here."""

    DENIED = auto()  # 403 AccessDenied, counted as an anonymous denial
    NOT_OFFERED = auto()  # 501 NotImplemented, the store is not asked
    LISTED = auto()  # 200; the one answer that may show the sealed size and ETag
    STORE = auto()  # the store's own answer, which is not about an object's data


OBJECT_DATA = {
    Op.DeleteBucketEncryption: Expected.DENIED,
    Op.PutBucketEncryption: Expected.DENIED,
    Op.CompleteMultipartUpload: Expected.DENIED,
    Op.CopyObject: Expected.DENIED,
    Op.CreateMultipartUpload: Expected.DENIED,
    Op.GetObject: Expected.DENIED,
    Op.GetObjectAttributes: Expected.DENIED,
    Op.GetObjectTorrent: Expected.DENIED,
    Op.HeadObject: Expected.DENIED,
    Op.ListParts: Expected.DENIED,
    Op.PostObject: Expected.DENIED,
    Op.PutObject: Expected.DENIED,
    Op.PutObjectAnnotation: Expected.NOT_OFFERED,
    Op.RenameObject: Expected.NOT_OFFERED,
    Op.RestoreObject: Expected.DENIED,
    Op.SelectObjectContent: Expected.DENIED,
    Op.UnknownObjectRead: Expected.DENIED,
    Op.UnknownObjectWrite: Expected.NOT_OFFERED,
    Op.UpdateObjectEncryption: Expected.DENIED,
    Op.UploadPart: Expected.DENIED,
    Op.UploadPartCopy: Expected.DENIED,
}
LISTINGS = dict.fromkeys((Op.ListObjects, Op.ListObjectsV2, Op.ListObjectVersions), Expected.LISTED)
REFUSED = dict.fromkeys(
    (
        Op.CreateSession,
        Op.UnknownService,
        Op.WriteGetObjectResponse,
    ),
    Expected.NOT_OFFERED,
)
NO_OBJECT_DATA = dict.fromkeys(
    (
        Op.AbortMultipartUpload,
        Op.CreateBucket,
        Op.CreateBucketMetadataConfiguration,
        Op.CreateBucketMetadataTableConfiguration,
        Op.DeleteBucket,
        Op.DeleteBucketAnalyticsConfiguration,
        Op.DeleteBucketCors,
        Op.DeleteBucketIntelligentTieringConfiguration,
        Op.DeleteBucketInventoryConfiguration,
        Op.DeleteBucketLifecycle,
        Op.DeleteBucketMetadataConfiguration,
        Op.DeleteBucketMetadataTableConfiguration,
        Op.DeleteBucketMetricsConfiguration,
        Op.DeleteBucketOwnershipControls,
        Op.DeleteBucketPolicy,
        Op.DeleteBucketReplication,
        Op.DeleteBucketTagging,
        Op.DeleteBucketWebsite,
        Op.DeleteObject,
        Op.DeleteObjectAnnotation,
        Op.DeleteObjectTagging,
        Op.DeleteObjects,
        Op.DeletePublicAccessBlock,
        Op.GetBucketAbac,
        Op.GetBucketAccelerateConfiguration,
        Op.GetBucketAcl,
        Op.GetBucketAnalyticsConfiguration,
        Op.GetBucketCors,
        Op.GetBucketEncryption,
        Op.GetBucketIntelligentTieringConfiguration,
        Op.GetBucketInventoryConfiguration,
        Op.GetBucketLifecycleConfiguration,
        Op.GetBucketLocation,
        Op.GetBucketLogging,
        Op.GetBucketMetadataConfiguration,
        Op.GetBucketMetadataTableConfiguration,
        Op.GetBucketMetricsConfiguration,
        Op.GetBucketNotificationConfiguration,
        Op.GetBucketOwnershipControls,
        Op.GetBucketPolicy,
        Op.GetBucketPolicyStatus,
        Op.GetBucketReplication,
        Op.GetBucketRequestPayment,
        Op.GetBucketTagging,
        Op.GetBucketVersioning,
        Op.GetBucketWebsite,
        Op.GetObjectAcl,
        Op.GetObjectAnnotation,
        Op.GetObjectLegalHold,
        Op.GetObjectLockConfiguration,
        Op.GetObjectRetention,
        Op.GetObjectTagging,
        Op.GetPublicAccessBlock,
        Op.HeadBucket,
        Op.ListBucketAnalyticsConfigurations,
        Op.ListBucketIntelligentTieringConfigurations,
        Op.ListBucketInventoryConfigurations,
        Op.ListBucketMetricsConfigurations,
        Op.ListBuckets,
        Op.ListDirectoryBuckets,
        Op.ListMultipartUploads,
        Op.ListObjectAnnotations,
        Op.OptionsObject,
        Op.PutBucketAbac,
        Op.PutBucketAccelerateConfiguration,
        Op.PutBucketAcl,
        Op.PutBucketAnalyticsConfiguration,
        Op.PutBucketCors,
        Op.PutBucketIntelligentTieringConfiguration,
        Op.PutBucketInventoryConfiguration,
        Op.PutBucketLifecycleConfiguration,
        Op.PutBucketLogging,
        Op.PutBucketMetricsConfiguration,
        Op.PutBucketNotificationConfiguration,
        Op.PutBucketOwnershipControls,
        Op.PutBucketPolicy,
        Op.PutBucketReplication,
        Op.PutBucketRequestPayment,
        Op.PutBucketTagging,
        Op.PutBucketVersioning,
        Op.PutBucketWebsite,
        Op.PutObjectAcl,
        Op.PutObjectLegalHold,
        Op.PutObjectLockConfiguration,
        Op.PutObjectRetention,
        Op.PutObjectTagging,
        Op.PutPublicAccessBlock,
        Op.UnknownBucketRead,
        Op.UnknownBucketWrite,
        Op.UpdateBucketMetadataAnnotationTableConfiguration,
        Op.UpdateBucketMetadataInventoryTableConfiguration,
        Op.UpdateBucketMetadataJournalTableConfiguration,
    ),
    Expected.STORE,
)
EXPECTED: dict[Op, Expected] = OBJECT_DATA | LISTINGS | REFUSED | NO_OBJECT_DATA


@dataclass(frozen=True)
class Sent:
    """One request. path: decoded."""

    method: str
    path: str
    query: dict[str, str] = field(default_factory=dict)
    headers: dict[str, str] = field(default_factory=dict)
    body: bytes = b""


_BODIES = {
    Op.DeleteObjects: b"<Delete><Object><Key>nothing-there</Key></Object></Delete>",
    Op.PutObject: b"an anonymous upload",
    Op.PostObject: (
        b'--b\r\nContent-Disposition: form-data; name="key"\r\n\r\nposted\r\n'
        b'--b\r\nContent-Disposition: form-data; name="file"\r\n\r\na form\r\n--b--\r\n'
    ),
}
# Operations that no route names.
_OTHERS = {
    Op.OptionsObject: ("OPTIONS", "object", "-"),
    Op.UnknownService: ("POST", "service", "-"),
    Op.UnknownBucketRead: ("GET", "bucket", "zzz"),
    Op.UnknownBucketWrite: ("PUT", "bucket", "zzz"),
    Op.UnknownObjectRead: ("GET", "object", "zzz"),
    Op.UnknownObjectWrite: ("PUT", "object", "zzz"),
}


def requests_of(bucket: str, key: str) -> dict[Op, Sent]:
    """A request of each operation, for (or, where it copies, from) one object."""
    routes = dict(_OTHERS)
    for line in operation_routes.TABLE.strip().splitlines():
        method, scope, required, _, name = line.split()
        routes[Op(name)] = (method, scope, required)
    return {
        operation: _request(operation, *route, bucket, key) for operation, route in routes.items()
    }


def _request(operation: Op, method: str, scope: str, required: str, bucket: str, key: str) -> Sent:
    path = {"service": "/", "bucket": f"/{bucket}", "object": f"/{bucket}/{key}"}[scope]
    query, headers = {}, {}
    for fact in required.split("&"):
        name, _, value = fact.partition("=")
        match name:
            case "-":
                continue
            case "@copy":
                headers["x-amz-copy-source"] = f"/{bucket}/{key}"
                path = f"/{bucket}/copy"
            case "@rename":
                headers["x-amz-rename-source"] = f"/{bucket}/{key}"
                path = f"/{bucket}/renamed"
            case "@response":
                path, headers["x-amz-request-route"] = "/WriteGetObjectResponse", "r"
            case "@express":
                headers["host"] = "s3express-control.test"
            case "partNumber" | "uploadId" | "id" | "annotationName":
                query[name] = "1"
            case _:
                query[name] = value
    if operation is Op.PostObject:
        headers["content-type"] = "multipart/form-data; boundary=b"
    if operation is Op.GetObjectAttributes:
        headers["x-amz-object-attributes"] = "ETag,Checksum,ObjectSize,ObjectParts"
    return Sent(method, path, query, headers, _BODIES.get(operation, b""))
