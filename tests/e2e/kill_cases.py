"""The operations that are killed at every step, and what must be true of a bucket afterwards.

A case knows an object as it was and as the operation makes it. Whatever died, the object is one
of them, whole, by GET, HEAD and listing; and the client can go on: with the same request again
or, in an upload, by giving it up.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Mapping
from dataclasses import replace
from typing import ClassVar

from tests.contract.client import Reply, Signing
from tests.e2e.attacks import md5_hex
from tests.e2e.kill_client import S3, TURN, Version, done, plain, xml
from tests.proxies import s3_client
from tests.proxy.forms import CONTENT_TYPE, form_body

PART_BYTES = 5 * 1024 * 1024
STREAMED_BYTES = 700_001
_CUSTOMER_KEY = {
    "customer-algorithm": "AES256",
    "customer-key": "MDEyMzQ1Njc4OUFCQ0RFRjAxMjM0NTY3ODlBQkNERUY=",
    "customer-key-md5": "U5L61r7jcwdNvT7frmUG8g==",
}


def told_of_sse_c(prefix: str = "x-amz-server-side-encryption-") -> dict[str, str]:
    return {prefix + name: value for name, value in _CUSTOMER_KEY.items()}


class Case(ABC):
    """One operation on one key. `old`, `new`: the object before and after it."""

    old: ClassVar[Version] = Version.single(plain("old", STREAMED_BYTES), "old")
    new: ClassVar[Version] = Version.single(plain("new", STREAMED_BYTES + 1), "new")

    def __init__(self, key: str) -> None:
        self.key = key

    def prepare(self, s3: S3) -> None:
        s3.put(self.key, self.old)

    @abstractmethod
    def operate(self, s3: S3) -> Reply:
        """The request under test."""

    def check(self, s3: S3, *, acknowledged: bool) -> None:
        """What is there after the death."""
        seen = s3.see(self.key)
        assert seen in ((self.new,) if acknowledged else (self.old, self.new)), seen

    def go_on(self, s3: S3, *, give_up: bool) -> None:
        """What the client does then. give_up: abort an upload, where there is one."""
        done(self.operate(s3))
        self.check(s3, acknowledged=True)


class PutSmall(Case):
    old, new = Version.single(plain("old", 100), "old"), Version.single(plain("new", 200), "new")

    def operate(self, s3: S3) -> Reply:
        return s3.ask("PUT", self.key, headers={TURN: "new"}, body=self.new.body)


class PutLarge(PutSmall):
    old, new = Case.old, Case.new


class PostForm(Case):
    new = Version.single(plain("new", PART_BYTES + STREAMED_BYTES), "new")

    def operate(self, s3: S3) -> Reply:
        at = s3.endpoint
        client = s3_client(at.url, at.access_key, at.secret_key)
        conditions = [{TURN: "new"}]
        form = client.generate_presigned_post(s3.bucket, self.key, {TURN: "new"}, conditions)
        client.close()
        body = form_body(form["fields"], self.new.body)
        headers = {"content-type": CONTENT_TYPE}
        # No signature but that of the form.
        return at.send("POST", f"/{s3.bucket}", headers=headers, body=body, signing=Signing.NONE)


# -- copies -------------------------------------------------------------------------------------


class Copy(Case):
    source: ClassVar[str]
    headers: ClassVar[Mapping[str, str]] = {}

    def prepare(self, s3: S3) -> None:
        super().prepare(s3)
        if s3.ask("HEAD", self.source).status == 404:
            self.make_source(s3)

    def make_source(self, s3: S3) -> None:
        s3.put(self.source, self.new)

    def operate(self, s3: S3) -> Reply:
        directive = {"x-amz-metadata-directive": "REPLACE", TURN: "new"}
        named = {"x-amz-copy-source": f"/{s3.bucket}/{self.source}"}
        return s3.ask("PUT", self.key, headers={**named, **directive, **self.headers})


class CopyRewrapped(Copy):
    """Of an object in parts: the copy gets a manifest of its own."""

    source = "source-in-parts"
    sent: ClassVar[list[bytes]] = [plain("source 1", PART_BYTES), plain("source 2", 1000)]
    new = Version.of_parts(sent, "new")

    def make_source(self, s3: S3) -> None:
        upload_id = s3.create(self.source)
        for number, part in enumerate(self.sent, 1):
            done(s3.part(self.source, upload_id, number, part))
        done(s3.complete(self.source, upload_id, self.sent))


class CopyStreamed(Copy):
    source = "source-with-a-customer-key"
    headers = told_of_sse_c("x-amz-copy-source-server-side-encryption-")

    def prepare(self, s3: S3) -> None:
        s3.put(self.source, self.new, told_of_sse_c())
        Case.prepare(self, s3)


class CopyOntoItself(Copy):
    new = replace(Case.old, turn="new")

    def __init__(self, key: str) -> None:
        super().__init__(key)
        self.source = key


# -- uploads ------------------------------------------------------------------------------------


class Create(Case):
    """Nothing of it is to be seen until the upload is completed; it can be aborted."""

    def operate(self, s3: S3) -> Reply:
        return s3.ask("POST", self.key, {"uploads": ""})

    def check(self, s3: S3, *, acknowledged: bool) -> None:
        assert s3.see(self.key) == self.old

    def go_on(self, s3: S3, *, give_up: bool) -> None:
        for upload in xml(s3.ask("GET", "", {"uploads": "", "prefix": self.key})).iter("{*}Upload"):
            assert upload.findtext("{*}Key") == self.key
            upload_id = upload.findtext("{*}UploadId", "")
            if not give_up:
                # Never accepted into an upload of which nobody knows how it is encrypted.
                assert s3.part(self.key, upload_id, 1, plain("lost", 1000)).status in (200, 404)
            done(s3.abort(self.key, upload_id))
        self.check(s3, acknowledged=False)
        done(self.operate(s3))


class Upload(Case):
    """An upload of two parts, of which the first is acknowledged before anything dies."""

    sent: ClassVar[list[bytes]] = [plain("part 1", PART_BYTES), plain("part 2", STREAMED_BYTES)]
    new = Version.of_parts(sent, "new")

    def prepare(self, s3: S3) -> None:
        super().prepare(s3)
        self.upload_id = s3.create(self.key)
        self._send(s3, 1)

    def _send(self, s3: S3, number: int) -> None:
        done(s3.part(self.key, self.upload_id, number, self.sent[number - 1]))

    def listed_as(self, *parts: bytes) -> dict[int, tuple[str, int]]:
        return {number: (md5_hex(part), len(part)) for number, part in enumerate(parts, 1)}

    def give_up(self, s3: S3) -> None:
        before = s3.see(self.key)
        assert s3.abort(self.key, self.upload_id).status in (204, 404)
        assert s3.parts(self.key, self.upload_id) is None
        assert s3.part(self.key, self.upload_id, 1, b"late").status == 404
        assert s3.see(self.key) == before


class UploadPart(Upload):
    def operate(self, s3: S3) -> Reply:
        return s3.part(self.key, self.upload_id, 2, self.sent[1])

    def check(self, s3: S3, *, acknowledged: bool) -> None:
        assert s3.see(self.key) == self.old
        both, first = self.listed_as(*self.sent), self.listed_as(self.sent[0])
        listed = s3.parts(self.key, self.upload_id)
        assert listed in ((both,) if acknowledged else (both, first)), listed

    def go_on(self, s3: S3, *, give_up: bool) -> None:
        if give_up:
            self.give_up(s3)
            return
        done(self.operate(s3))
        self.check(s3, acknowledged=True)
        done(s3.complete(self.key, self.upload_id, self.sent))
        assert s3.see(self.key) == self.new


class UploadPartAgain(UploadPart):
    """Over a part that is there: either, or none until it is sent once more.

    SeaweedFS keeps both and tells their times to the second: either may be listed. Which one
    counts the completion says, by its ETag.
    """

    before = plain("part 2 before", STREAMED_BYTES + 1)

    def prepare(self, s3: S3) -> None:
        super().prepare(s3)
        done(s3.part(self.key, self.upload_id, 2, self.before))

    def check(self, s3: S3, *, acknowledged: bool) -> None:
        assert s3.see(self.key) == self.old
        first = self.sent[0]
        there = (self.listed_as(*self.sent), self.listed_as(first, self.before))
        listed = s3.parts(self.key, self.upload_id)
        assert listed in (there if acknowledged else (*there, self.listed_as(first))), listed


class UploadPartCopy(UploadPart):
    source = "source-of-a-part"

    def prepare(self, s3: S3) -> None:
        super().prepare(s3)
        s3.put(self.source, Version.single(b"skipped" + self.sent[1], "source"))

    def operate(self, s3: S3) -> Reply:
        last = len(b"skipped" + self.sent[1]) - 1
        headers = {
            "x-amz-copy-source": f"/{s3.bucket}/{self.source}",
            "x-amz-copy-source-range": f"bytes={len(b'skipped')}-{last}",
        }
        query = {"partNumber": "2", "uploadId": self.upload_id}
        return s3.ask("PUT", self.key, query, headers)


class Complete(Upload):
    def prepare(self, s3: S3) -> None:
        super().prepare(s3)
        self._send(s3, 2)

    def operate(self, s3: S3) -> Reply:
        return s3.complete(self.key, self.upload_id, self.sent)

    def go_on(self, s3: S3, *, give_up: bool) -> None:
        if give_up:
            self.give_up(s3)
            return
        again = done(self.operate(s3))
        assert xml(again).findtext("{*}ETag") == f'"{self.new.etag}"'
        assert s3.see(self.key) == self.new


class CompleteAgain(Complete):
    """After an answer that its client has not heard."""

    def prepare(self, s3: S3) -> None:
        super().prepare(s3)
        done(self.operate(s3))

    def check(self, s3: S3, *, acknowledged: bool) -> None:
        super().check(s3, acknowledged=True)


class Abort(Upload):
    def operate(self, s3: S3) -> Reply:
        return s3.abort(self.key, self.upload_id)

    def check(self, s3: S3, *, acknowledged: bool) -> None:
        assert s3.see(self.key) == self.old
        listed = s3.parts(self.key, self.upload_id)
        assert listed is None or (listed == self.listed_as(self.sent[0]) and not acknowledged)

    def go_on(self, s3: S3, *, give_up: bool) -> None:
        reply = s3.part(self.key, self.upload_id, 2, self.sent[1])
        if give_up or reply.status != 200:
            assert reply.status in (200, 404), reply
            self.give_up(s3)
            return
        done(s3.complete(self.key, self.upload_id, self.sent))
        assert s3.see(self.key) == self.new


CASES: dict[str, type[Case]] = {
    case.__name__: case
    for case in (
        *(PutSmall, PutLarge, PostForm, CopyRewrapped, CopyStreamed, CopyOntoItself),
        *(Create, UploadPart, UploadPartAgain, UploadPartCopy, Complete, CompleteAgain, Abort),
    )
}
