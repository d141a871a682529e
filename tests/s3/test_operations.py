"""Every operation of botocore's model is its own; what is unknown and writes is refused."""

from collections.abc import Iterator
from typing import Any
from urllib.parse import parse_qsl

import botocore.loaders
import pytest
from hypothesis import given
from hypothesis import strategies as st

from sseproxy.s3 import operation_routes
from sseproxy.s3.addressing import Target
from sseproxy.s3.operations import Operation, classify

MODEL: dict[str, Any] = botocore.loaders.Loader().load_service_model("s3", "service-2")
SERVICE, BUCKET, OBJECT = Target(None, None), Target("b", None), Target("b", "k")
TARGETS = {"service": SERVICE, "bucket": BUCKET, "object": OBJECT}
UNKNOWN = {op for op in Operation if op.value.startswith("Unknown")}
METHODS = ["GET", "HEAD", "PUT", "POST", "DELETE", "OPTIONS", "PATCH", "TRACE"]


def modelled(name: str, *, optional: bool) -> tuple[str, Target, dict[str, str], dict[str, str]]:
    """Method, target, query and headers of an operation, with its optional ones or without."""
    operation = MODEL["operations"][name]
    path, _, fixed = operation["http"]["requestUri"].partition("?")
    query = dict(parse_qsl(fixed, keep_blank_values=True))
    # AWS tells these two apart by host alone.
    headers = {"host": "s3express-control.eu.test"} if name == "ListDirectoryBuckets" else {}
    shape = MODEL["shapes"][operation["input"]["shape"]] if "input" in operation else {}
    for member, spec in shape.get("members", {}).items():
        if not optional and member not in shape.get("required", []):
            continue
        if spec.get("location") == "querystring":
            query[spec["locationName"]] = "1"
        elif spec.get("location") == "header":
            headers[spec["locationName"].lower()] = "1"
    headers.pop("x-amz-write-offset-bytes", None)  # an append is not PutObject here
    if path == "/WriteGetObjectResponse":
        return operation["http"]["method"], Target("WriteGetObjectResponse", None), query, headers
    scope = {"/": SERVICE, "/{Bucket}": BUCKET, "/{Bucket}/{Key+}": OBJECT}
    return operation["http"]["method"], scope[path], query, headers


def test_the_model_is_the_one_the_table_was_made_for() -> None:
    assert len(MODEL["operations"]) == 116


@pytest.mark.parametrize("optional", [False, True])
@pytest.mark.parametrize("name", sorted(MODEL["operations"]))
def test_every_modelled_operation_is_its_own(name: str, optional: bool) -> None:
    found = classify(*modelled(name, optional=optional))
    assert found is Operation[name]
    # Only the deprecated names, which are the same on the wire, share another's value.
    aliases = {"GetBucketLifecycle", "PutBucketLifecycle"}
    aliases |= {"GetBucketNotification", "PutBucketNotification"}
    assert found.value == name or (name in aliases and found.value == f"{name}Configuration")


def test_nothing_is_an_operation_that_s3_has_not() -> None:
    ours = {op.value for op in Operation} - {op.value for op in UNKNOWN}
    assert ours - set(MODEL["operations"]) == {"PostObject", "OptionsObject"}


@pytest.mark.parametrize(
    ("method", "target", "query", "headers", "expected"),
    [
        ("POST", BUCKET, {}, {"content-type": "Multipart/Form-Data; boundary=x"}, "PostObject"),
        ("POST", BUCKET, {}, {}, "PostObject"),
        ("OPTIONS", OBJECT, {"x": ""}, {}, "OptionsObject"),
        ("OPTIONS", BUCKET, {}, {}, "OptionsObject"),
        ("OPTIONS", SERVICE, {}, {}, "UnknownService"),
        ("GET", OBJECT, {"v": "1", "id": "2"}, {}, "GetObject"),
        ("GET", OBJECT, {"response-content-type": "a/b", "versionId": "v"}, {}, "GetObject"),
        ("GET", OBJECT, {"X-Amz-Signature": "s", "x-id": "GetObject"}, {}, "GetObject"),
        ("GET", OBJECT, {}, {"x-amz-copy-source": "b/k"}, "GetObject"),
        ("GET", OBJECT, {"newthing": ""}, {}, "UnknownObjectRead"),
        ("GET", OBJECT, {"acl": "", "torrent": ""}, {}, "UnknownObjectRead"),
        ("GET", OBJECT, {"uploadId": "u", "attributes": ""}, {}, "UnknownObjectRead"),
        ("GET", OBJECT, {"ci-process": "x"}, {}, "UnknownObjectRead"),
        ("GET", OBJECT, {"uploadId": "u", "max-parts": "2"}, {}, "ListParts"),
        ("HEAD", OBJECT, {"partNumber": "1"}, {}, "HeadObject"),
        ("HEAD", OBJECT, {"uploadId": "1"}, {}, "UnknownObjectRead"),
        ("GET", BUCKET, {"list-type": "2", "prefix": "", "metadata": "true"}, {}, "ListObjectsV2"),
        ("GET", BUCKET, {"list-type": "3"}, {}, "ListObjects"),
        ("GET", BUCKET, {"events": "x"}, {}, "UnknownBucketRead"),
        ("HEAD", BUCKET, {"acl": ""}, {}, "UnknownBucketRead"),
        ("PUT", BUCKET, {"newthing": ""}, {}, "UnknownBucketWrite"),
        ("POST", BUCKET, {"newthing": ""}, {}, "UnknownBucketWrite"),
        ("PATCH", BUCKET, {}, {}, "UnknownBucketWrite"),
        ("POST", SERVICE, {}, {}, "UnknownService"),
        ("GET", SERVICE, {"marker": "", "max-keys": "2000"}, {}, "ListBuckets"),
        ("PUT", BUCKET, {"encryption": ""}, {}, "PutBucketEncryption"),
        ("PUT", OBJECT, {"encryption": ""}, {}, "UpdateObjectEncryption"),
        ("PUT", OBJECT, {}, {"x-cos-copy-source": "b.cos/k"}, "CopyObject"),
        ("PUT", OBJECT, {"tagging": "", "versionId": "v"}, {}, "PutObjectTagging"),
        ("POST", OBJECT, {"uploads": ""}, {"content-type": "multipart/form-data"}, "Create"),
        ("PUT", OBJECT, {"q-sign-algorithm": "sha1", "q-ak": "x"}, {}, "PutObject"),
        (
            "PUT",
            OBJECT,
            {"AWSAccessKeyId": "a", "Signature": "s", "Expires": "1", "content-type": "a/b"}
            | {"x-amz-server-side-encryption": "AES256"},
            {},
            "PutObject",
        ),
    ],
)
def test_requests(
    method: str, target: Target, query: dict[str, str], headers: dict[str, str], expected: str
) -> None:
    name = "CreateMultipartUpload" if expected == "Create" else expected
    assert classify(method, target, query, headers).value == name


@pytest.mark.parametrize(
    ("method", "target", "query", "headers"),
    [
        ("PUT", OBJECT, {"newthing": ""}, {}),
        ("PUT", OBJECT, {"newthing": "1"}, {}),
        ("PUT", OBJECT, {"append": "", "position": "0"}, {}),
        ("POST", OBJECT, {"append": "", "position": "0"}, {}),
        ("POST", OBJECT, {}, {}),
        ("POST", OBJECT, {}, {"content-type": "multipart/form-data"}),
        ("POST", OBJECT, {"restore": ""}, {"content-type": "multipart/form-data"}),
        ("POST", BUCKET, {"delete": ""}, {"content-type": "multipart/form-data; boundary=x"}),
        ("POST", BUCKET, {"newthing": ""}, {"content-type": "multipart/form-data"}),
        ("POST", OBJECT, {"select": "", "select-type": "3"}, {}),
        ("PUT", OBJECT, {"uploadId": "u"}, {}),
        ("PUT", OBJECT, {"partNumber": "1"}, {}),
        ("PUT", OBJECT, {"tagging": "", "uploadId": "u", "partNumber": "1"}, {}),
        ("PUT", OBJECT, {"tagging": ""}, {"x-amz-copy-source": "b/k"}),
        ("PUT", OBJECT, {"acl": "", "tagging": ""}, {}),
        ("PUT", OBJECT, {"renameObject": ""}, {}),
        ("PUT", OBJECT, {}, {"x-amz-rename-source": "/k"}),
        ("PUT", OBJECT, {}, {"x-amz-write-offset-bytes": "0"}),
        ("PUT", OBJECT, {}, {"x-minio-extract": "true"}),
        ("PUT", OBJECT, {}, {"x-minio-source-etag": "x"}),
        ("PUT", OBJECT, {}, {"x-amz-meta-snowball-auto-extract": "true"}),
        ("PUT", OBJECT, {}, {"content-range": "bytes 0-1/2"}),
        ("PUT", OBJECT, {}, {"pic-operations": "{}"}),
        ("PUT", OBJECT, {"X-Amz-Copy-Source": "b/k"}, {}),
        ("PUT", OBJECT, {"x-amz-meta-snowball-auto-extract": "true"}, {}),
        ("PUT", OBJECT, {"uploadid": "u", "partnumber": "1"}, {}),
        ("DELETE", OBJECT, {"newthing": ""}, {}),
        ("PATCH", OBJECT, {}, {}),
        ("COPY", OBJECT, {}, {}),
    ],
)
def test_unknown_object_writes(
    method: str, target: Target, query: dict[str, str], headers: dict[str, str]
) -> None:
    found = classify(method, target, query, headers)
    assert found is Operation.UnknownObjectWrite
    assert found.writes_object_data
    assert found.scope == "object"


def test_scopes() -> None:
    for name in MODEL["operations"]:
        _, target, _, _ = modelled(name, optional=False)
        if name != "WriteGetObjectResponse":
            assert TARGETS[Operation[name].scope] == target
    assert Operation.PostObject.scope == "bucket"
    assert Operation.UnknownService.scope == "service"
    assert Operation.UnknownBucketRead.scope == Operation.UnknownBucketWrite.scope == "bucket"


def test_every_write_on_an_object_that_is_not_marked_stores_no_data() -> None:
    unmarked = {
        line.split()[4]
        for line in operation_routes.TABLE.strip().splitlines()
        if line.split()[0] in ("PUT", "POST") and line.split()[1] == "object"
    } - {op.value for op in Operation if op.writes_object_data}
    assert unmarked == {
        *("PutObjectAcl", "PutObjectLegalHold", "PutObjectRetention", "PutObjectTagging"),
        *("RestoreObject", "SelectObjectContent"),
    }


def test_what_tells_of_an_object() -> None:
    assert {op.value for op in Operation if op.reads_object_data} == {
        *("GetObject", "HeadObject", "GetObjectAttributes", "GetObjectTorrent", "CopyObject"),
        *("SelectObjectContent", "UploadPartCopy", "RenameObject", "RestoreObject"),
        "UnknownObjectRead",
    }


def subresources() -> Iterator[str]:
    for line in operation_routes.TABLE.strip().splitlines():
        for name in line.split()[2].split("&"):
            yield name.partition("=")[0]


NAMES = st.sampled_from(sorted(set(subresources()))) | st.text(max_size=8)
HEADERS = st.sampled_from(["x-amz-copy-source", "x-amz-rename-source", "content-type", "x-amz-a"])


@given(
    st.sampled_from(METHODS),
    st.sampled_from(sorted(TARGETS)),
    st.dictionaries(NAMES, st.sampled_from(["", "1", "2"]), max_size=4),
    st.dictionaries(HEADERS, st.sampled_from(["b/k", "multipart/form-data"]), max_size=3),
)
def test_a_put_of_data_has_nothing_else_to_say(
    method: str, scope: str, query: dict[str, str], headers: dict[str, str]
) -> None:
    found = classify(method, TARGETS[scope], query, headers)
    if scope == "service":
        assert found.scope == "service"
    if found is Operation.PutObject:
        assert method == "PUT"
        assert not set(query) & set(subresources())
        assert not {"x-amz-copy-source", "x-amz-rename-source"} & set(headers)
    if method in ("PUT", "POST", "PATCH", "DELETE") and scope == "object":
        assert found not in UNKNOWN - {Operation.UnknownObjectWrite}
