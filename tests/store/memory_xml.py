"""XML answers of the store in memory."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from datetime import datetime
from typing import Any
from urllib.parse import quote

from lxml import etree
from lxml.builder import E

from tests.store.memory_bucket import Upload
from tests.store.memory_model import Stored

_NAMESPACE = "http://s3.amazonaws.com/doc/2006-03-01/"


def _bytes(element: Any) -> bytes:
    return etree.tostring(element, xml_declaration=True, encoding="UTF-8")


def _time(moment: datetime) -> str:
    return moment.strftime("%Y-%m-%dT%H:%M:%S.") + f"{moment.microsecond // 1000:03d}Z"


def error(code: str, resource: str) -> bytes:
    # A key may hold what XML can't; the code is what matters.
    shown = quote(resource, safe="/")
    return _bytes(E.Error(E.Code(code), E.Message(code), E.Resource(f"/{shown}")))


def buckets(names: Sequence[str]) -> bytes:
    listed = [E.Bucket(E.Name(name)) for name in names]
    return _bytes(E.ListAllMyBucketsResult(E.Buckets(*listed), xmlns=_NAMESPACE))


def versioning(enabled: bool) -> bytes:
    status = [E.Status("Enabled")] if enabled else []
    return _bytes(E.VersioningConfiguration(*status, xmlns=_NAMESPACE))


def deleted(entries: Sequence[tuple[str, str | None]]) -> bytes:
    """The keys, and versions, that a DeleteObjects request removed."""
    root = E.DeleteResult(xmlns=_NAMESPACE)
    for key, version in entries:
        entry = E.Deleted(E.Key(key))
        if version is not None:
            entry.append(E.VersionId(version))
        root.append(entry)
    return _bytes(root)


def copied(etag: str, moment: datetime, *, part: bool = False) -> bytes:
    tag = "CopyPartResult" if part else "CopyObjectResult"
    moment_text = E.LastModified(_time(moment))
    return _bytes(E(tag, E.ETag(f'"{etag}"'), moment_text, xmlns=_NAMESPACE))


def tagging(tags: Mapping[str, str]) -> bytes:
    entries = [E.Tag(E.Key(name), E.Value(value)) for name, value in tags.items()]
    return _bytes(E.Tagging(E.TagSet(*entries), xmlns=_NAMESPACE))


def initiated(bucket: str, key: str, upload_id: str) -> bytes:
    result = E.InitiateMultipartUploadResult(
        E.Bucket(bucket), E.Key(key), E.UploadId(upload_id), xmlns=_NAMESPACE
    )
    return _bytes(result)


def completed(bucket: str, key: str, etag: str) -> bytes:
    result = E.CompleteMultipartUploadResult(
        E.Location(f"http://memory.test/{bucket}/{quote(key)}"),
        *(E.Bucket(bucket), E.Key(key), E.ETag(f'"{etag}"')),
        xmlns=_NAMESPACE,
    )
    return _bytes(result)


def parts(bucket: str, upload: Upload, after: int, limit: int) -> bytes:
    """ListParts: the parts whose number is above `after`."""
    numbers = sorted(number for number in upload.parts if number > after)
    shown, truncated = numbers[:limit], len(numbers) > limit
    root = E.ListPartsResult(
        *(E.Bucket(bucket), E.Key(upload.key), E.UploadId(upload.upload_id)),
        *(E.PartNumberMarker(str(after)), E.MaxParts(str(limit)), E.StorageClass("STANDARD")),
        E.IsTruncated("true" if truncated else "false"),
        xmlns=_NAMESPACE,
    )
    if shown:
        root.append(E.NextPartNumberMarker(str(shown[-1])))
    for number in shown:
        part = upload.parts[number]
        root.append(
            E.Part(
                *(E.PartNumber(str(number)), E.LastModified(_time(part.last_modified))),
                *(E.ETag(f'"{part.etag}"'), E.Size(str(len(part.data)))),
            )
        )
    return _bytes(root)


def uploads(bucket: str, listed: Iterable[Upload], query: Mapping[str, str]) -> bytes:
    """ListMultipartUploads, in the order of keys and, for one key, of upload ids."""
    prefix, limit = query.get("prefix", ""), min(int(query.get("max-uploads") or 1000), 1000)
    after = query.get("key-marker", ""), query.get("upload-id-marker", "")
    if after[0] and not after[1]:
        after = after[0], chr(0x10FFFF)
    entries = sorted((u for u in listed if u.key.startswith(prefix)), key=_place)
    entries = [upload for upload in entries if _place(upload) > after]

    def shown(text: str) -> str:
        return quote(text, safe="/") if query.get("encoding-type") == "url" else text

    root = E.ListMultipartUploadsResult(
        *(E.Bucket(bucket), E.KeyMarker(shown(after[0])), E.Prefix(shown(prefix))),
        *(E.MaxUploads(str(limit)), E.IsTruncated("true" if len(entries) > limit else "false")),
        xmlns=_NAMESPACE,
    )
    if len(entries) > limit > 0:
        root.append(E.NextKeyMarker(shown(entries[limit - 1].key)))
        root.append(E.NextUploadIdMarker(entries[limit - 1].upload_id))
    for upload in entries[:limit]:
        root.append(
            E.Upload(
                *(E.Key(shown(upload.key)), E.UploadId(upload.upload_id)),
                *(E.StorageClass("STANDARD"), E.Initiated(_time(upload.initiated))),
            )
        )
    return _bytes(root)


def _place(upload: Upload) -> tuple[str, str]:
    return upload.key, upload.upload_id


def listing(
    bucket: str,
    objects: Mapping[str, list[Stored]],
    query: Mapping[str, str],
    *,
    metadata: bool = False,
) -> bytes:
    """ListObjects v1 and v2 and ListObjectVersions; continuation tokens are the last name shown.

    metadata: each entry of a v2 listing tells its user metadata, as MinIO's metadata=true does.
    """
    versions, second = "versions" in query, query.get("list-type") == "2"
    tag = "ListVersionsResult" if versions else "ListBucketResult"
    after_names = ("continuation-token", "start-after") if second else ("marker", "key-marker")
    after = next((query[name] for name in after_names if query.get(name)), "")
    prefix, delimiter = query.get("prefix", ""), query.get("delimiter", "")
    limit = min(int(query.get("max-keys", "1000")), 1000)

    def shown(text: str) -> str:
        return quote(text, safe="/") if query.get("encoding-type") == "url" else text

    root = E(tag, E.Name(bucket), E.Prefix(shown(prefix)), E.MaxKeys(str(limit)), xmlns=_NAMESPACE)
    if "encoding-type" in query:
        root.append(E.EncodingType("url"))
    if delimiter:
        root.append(E.Delimiter(shown(delimiter)))
    names = _names(objects, prefix, delimiter, after, versions)
    for name, is_prefix in names[:limit]:
        if is_prefix:
            root.append(E.CommonPrefixes(E.Prefix(shown(name))))
        elif versions:
            for index, stored in enumerate(reversed(objects[name])):
                root.append(_entry(shown(name), stored, version=True, latest=index == 0))
        else:
            entry = _entry(shown(name), objects[name][-1])
            if metadata:
                entry.append(_user_metadata(objects[name][-1]))
            root.append(entry)
    truncated = len(names) > limit
    root.append(E.IsTruncated("true" if truncated else "false"))
    if second:
        root.append(E.KeyCount(str(min(len(names), limit))))
    if truncated and limit:
        name = "NextContinuationToken" if second else "NextMarker"
        last = names[limit - 1][0]
        root.append(E("NextKeyMarker" if versions else name, last if second else shown(last)))
    return _bytes(root)


def _names(
    objects: Mapping[str, list[Stored]], prefix: str, delimiter: str, after: str, versions: bool
) -> list[tuple[str, bool]]:
    """Names in order, each with whether it is a common prefix."""
    names: dict[str, bool] = {}
    for key in sorted(objects, key=str.encode):
        if not key.startswith(prefix) or (objects[key][-1].delete_marker and not versions):
            continue
        cut = key.find(delimiter, len(prefix)) if delimiter else -1
        name = key if cut < 0 else key[: cut + len(delimiter)]
        if name > after:
            names[name] = cut >= 0
    return list(names.items())


def _entry(name: str, stored: Stored, *, version: bool = False, latest: bool = False) -> Any:
    tag = "Contents"
    if version:
        tag = "DeleteMarker" if stored.delete_marker else "Version"
    entry = E(tag, E.Key(name))
    if version:
        entry.append(E.VersionId(stored.version_id))
        entry.append(E.IsLatest("true" if latest else "false"))
    entry.append(E.LastModified(_time(stored.last_modified)))
    if not stored.delete_marker:
        entry.append(E.ETag(f'"{stored.etag}"'))
        entry.append(E.Size(str(len(stored.data))))
        entry.append(E.StorageClass("STANDARD"))
    return entry


def _user_metadata(stored: Stored) -> Any:
    root = E.UserMetadata()
    for name, value in stored.headers.items():
        if name.startswith("x-amz-meta-"):
            name = "X-Amz-Meta-" + name.removeprefix("x-amz-meta-").title()
        root.append(E(name, value))
    return root
