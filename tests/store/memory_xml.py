"""XML answers of the store in memory."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import Any
from urllib.parse import quote

from lxml import etree
from lxml.builder import E

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


def deleted(keys: Sequence[str]) -> bytes:
    entries = [E.Deleted(E.Key(key)) for key in keys]
    return _bytes(E.DeleteResult(*entries, xmlns=_NAMESPACE))


def copied(etag: str, moment: datetime) -> bytes:
    result = E.CopyObjectResult(
        E.ETag(f'"{etag}"'), E.LastModified(_time(moment)), xmlns=_NAMESPACE
    )
    return _bytes(result)


def listing(bucket: str, objects: Mapping[str, list[Stored]], query: Mapping[str, str]) -> bytes:
    """ListObjects v1 and v2 and ListObjectVersions; continuation tokens are the last name shown."""
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
            root.append(_entry(shown(name), objects[name][-1]))
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
