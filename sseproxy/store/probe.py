"""The conformance probe: what does this store really do?

It works on objects of its own under a random prefix of the system bucket and removes them again.
Each measurement is a method that returns the value of one field of Quirks. A store that fails
where safety rests on it is refused (`check`), never worked around.
"""

from __future__ import annotations

import secrets
from collections.abc import AsyncIterator, Mapping, Sequence
from dataclasses import dataclass

from sseproxy.errors import StoreError
from sseproxy.store.answers import parse_xml, refusal, text
from sseproxy.store.objects import ObjectStore, StoreBody, StoreCredential
from sseproxy.store.quirks import Quirks, UnsafeStore

_METADATA_NAME = "x-amz-meta-probe"
LARGEST_METADATA_BYTES = 8192
_METADATA_SIZES = (LARGEST_METADATA_BYTES, 4096, 2048, 1536, 1024, 512)
_KEPT_METADATA_BYTES = 1024
_CUT_BYTES = 1024 * 1024
_NOT_OFFERED = frozenset({404, 405, 501})


async def probe(store: ObjectStore, credential: StoreCredential, bucket: str) -> Quirks:
    """Measure the store in that (existing) bucket.

    Raises StoreError where the store fails altogether: no answer, no right to write. What it
    merely does not honour is in the result; see `check`.
    """
    return await _Probe(store, credential, bucket).run()


def check(quirks: Quirks) -> None:
    """Raise UnsafeStore, which lists what is missing, unless the store can be used."""
    failures = quirks.failures()
    if failures:
        raise UnsafeStore(failures)


class _CutOnPurpose(Exception):
    """Ends an upload in mid-body."""


@dataclass(frozen=True, slots=True)
class _Answer:
    status: int
    headers: Mapping[str, str]
    body: bytes

    @property
    def etag(self) -> str:
        return self.headers.get("etag", "")


class _Probe:
    def __init__(self, store: ObjectStore, credential: StoreCredential, bucket: str) -> None:
        self._store, self._credential, self._bucket = store, credential, bucket
        self._prefix = f"probe/{secrets.token_hex(8)}/"
        self._written: list[str] = []

    async def run(self) -> Quirks:
        try:
            return await self._measure()
        finally:
            for key in reversed(self._written):
                await self._ask("DELETE", key)

    async def _measure(self) -> Quirks:
        first = await self._write("first", b"first")
        await self._cut("old", existing=True)
        await self._cut("new", existing=False)
        accepted = [size for size in _METADATA_SIZES if await self._metadata(size)]
        return Quirks(
            server=first.headers.get("server", ""),
            put_if_absent=await self._put_if_absent(),
            put_if_match=await self._put_if_match(),
            ranges=await self._ranges(),
            metadata_kept=_KEPT_METADATA_BYTES in accepted,
            name_component_255=await self._name("n" * 255),
            metadata_bytes=max(accepted, default=0),
            delete_if_match=await self._delete_if_match(),
            copy_if_match=await self._copy_if_match(),
            complete_if_match=await self._complete_if_match(),
            metadata_listing=await self._metadata_listing(),
            post_form=await self._post_form(),
            name_component_long=await self._name("n" * 256),
            key_1024=await self._name(self._key_of(1024)),
            double_slash=await self._is_own_key("slash/b", "slash//b"),
            leading_slash=await self._leading_slash(),
            folder_bodies=await self._folder_bodies(),
            # Last: a store that only commits a cut upload after a while is caught too.
            cut_upload_discarded=await self._cut_left_nothing(),
        )

    # -- requests ---------------------------------------------------------------------------

    async def _ask(
        self,
        method: str,
        key: str | None,
        *,
        query: Sequence[tuple[str, str]] = (),
        headers: Mapping[str, str] = {},
        body: StoreBody = None,
        content_length: int | None = None,
        anonymous: bool = False,
    ) -> _Answer:
        sent = await self._store.send(
            None if anonymous else self._credential,
            method,
            self._bucket,
            key,
            query=query,
            headers=headers,
            body=body,
            content_length=content_length,
        )
        async with sent as response:
            return _Answer(response.status, response.headers, await response.read())

    async def _put(self, name: str, data: bytes, headers: Mapping[str, str] = {}) -> _Answer:
        key = self._prefix + name
        if key not in self._written:
            self._written.append(key)
        return await self._ask("PUT", key, headers=headers, body=data)

    async def _write(self, name: str, data: bytes) -> _Answer:
        """A plain PUT, which must succeed for anything to be measured."""
        key = self._prefix + name
        self._written.append(key)
        sent = await self._store.send(self._credential, "PUT", self._bucket, key, body=data)
        async with sent as response:
            if response.status != 200:
                raise await refusal(response, "writing an object to probe the store")
            return _Answer(response.status, response.headers, await response.read())

    async def _holds(self, name: str, data: bytes) -> bool:
        answer = await self._ask("GET", self._prefix + name)
        return answer.status == 200 and answer.body == data

    # -- what safety rests on ---------------------------------------------------------------

    async def _put_if_absent(self) -> bool:
        absent = {"if-none-match": "*"}
        made = await self._put("absent", b"one", absent)
        again = await self._put("absent", b"two", absent)
        return made.status == 200 and again.status == 412 and await self._holds("absent", b"one")

    async def _put_if_match(self) -> bool:
        before = await self._write("match", b"one")
        made = await self._put("match", b"two", {"if-match": before.etag})
        stale = await self._put("match", b"three", {"if-match": before.etag})
        nothing = await self._put("match-none", b"one", {"if-match": before.etag})
        return (
            made.status == 200
            and stale.status == 412
            and nothing.status in {404, 412}
            and await self._holds("match", b"two")
            and not await self._holds("match-none", b"one")
        )

    async def _cut(self, name: str, *, existing: bool) -> None:
        if existing:
            await self._write(name, b"whole")
        else:
            self._written.append(self._prefix + name)

        async def half() -> AsyncIterator[bytes]:
            yield b"c" * (_CUT_BYTES // 2)
            raise _CutOnPurpose

        try:
            await self._ask("PUT", self._prefix + name, body=half(), content_length=_CUT_BYTES)
        except _CutOnPurpose:
            pass
        except StoreError:
            pass  # it hung up first; what it kept is looked at later

    async def _cut_left_nothing(self) -> bool:
        new = await self._ask("GET", self._prefix + "new")
        return new.status == 404 and await self._holds("old", b"whole")

    async def _ranges(self) -> bool:
        data = bytes(range(256)) * 4
        await self._write("range", data)
        wanted = {
            "bytes=100-199": (100, 200),
            "bytes=-256": (768, 1024),
            "bytes=1000-": (1000, 1024),
        }
        for asked, (start, stop) in wanted.items():
            answer = await self._ask("GET", self._prefix + "range", headers={"range": asked})
            told = answer.headers.get("content-range", "")
            if (answer.status, told) != (206, f"bytes {start}-{stop - 1}/1024"):
                return False
            if answer.body != data[start:stop]:
                return False
        past = await self._ask("GET", self._prefix + "range", headers={"range": "bytes=1024-"})
        return past.status == 416

    async def _metadata(self, size_bytes: int) -> bool:
        value = "m" * (size_bytes - len(_METADATA_NAME))
        put = await self._put("metadata", b"", {_METADATA_NAME: value})
        if put.status != 200:
            return False
        head = await self._ask("HEAD", self._prefix + "metadata")
        return head.headers.get(_METADATA_NAME) == value

    # -- what only matters to some operations -----------------------------------------------

    async def _name(self, name: str) -> bool:
        return (await self._put(name, b"n")).status == 200 and await self._holds(name, b"n")

    def _key_of(self, size_bytes: int) -> str:
        """A name that makes a key of that size, its components 64 bytes each."""
        name = ("k" * 63 + "/") * (size_bytes // 64)
        return name[: size_bytes - len(self._prefix) - 1] + "k"

    async def _is_own_key(self, name: str, odd: str) -> bool:
        await self._write(name, b"one")
        two = await self._put(odd, b"two")
        return (
            two.status == 200 and await self._holds(name, b"one") and await self._holds(odd, b"two")
        )

    async def _leading_slash(self) -> bool:
        await self._write("lead", b"one")
        odd = f"/{self._prefix}lead"
        answer = await self._ask("PUT", odd, body=b"two")
        if answer.status == 200:
            self._written.append(odd)
        return answer.status == 200 and await self._holds("lead", b"one")

    async def _folder_bodies(self) -> bool:
        answer = await self._put("folder/", b"one")
        return answer.status == 200 and await self._holds("folder/", b"one")

    async def _delete_if_match(self) -> bool:
        await self._write("delete", b"one")
        key = self._prefix + "delete"
        answer = await self._ask("DELETE", key, headers={"if-match": '"' + "0" * 32 + '"'})
        return answer.status == 412 and await self._holds("delete", b"one")

    async def _copy_if_match(self) -> bool:
        await self._write("copy", b"one")
        headers = {
            "x-amz-copy-source": f"/{self._bucket}/{self._prefix}first",
            "if-match": '"' + "0" * 32 + '"',
        }
        answer = await self._ask("PUT", self._prefix + "copy", headers=headers)
        return answer.status == 412 and await self._holds("copy", b"one")

    async def _complete_if_match(self) -> bool:
        await self._write("multipart", b"one")
        key = self._prefix + "multipart"
        made = await self._ask("POST", key, query=[("uploads", "")])
        if made.status != 200:
            return False
        upload = ("uploadId", text(parse_xml(made.body), "UploadId"))
        part = await self._ask("PUT", key, query=[("partNumber", "1"), upload], body=b"two")
        tag = part.etag.replace('"', "&quot;")
        body = (
            "<CompleteMultipartUpload><Part><PartNumber>1</PartNumber>"
            f"<ETag>{tag}</ETag></Part></CompleteMultipartUpload>"
        ).encode()
        headers = {"if-match": '"' + "0" * 32 + '"'}
        answer = await self._ask("POST", key, query=[upload], headers=headers, body=body)
        if answer.status != 200:
            await self._ask("DELETE", key, query=[upload])
        return answer.status == 412 and await self._holds("multipart", b"one")

    async def _metadata_listing(self) -> bool:
        await self._put("listed", b"", {_METADATA_NAME: "listed-value"})
        query = [("list-type", "2"), ("metadata", "true"), ("prefix", self._prefix + "listed")]
        answer = await self._ask("GET", None, query=query)
        return answer.status == 200 and b"listed-value" in answer.body

    async def _post_form(self) -> bool:
        """A form without a policy, unsigned: refused for that where forms are known at all."""
        boundary = secrets.token_hex(8)
        lines = (
            f"--{boundary}",
            'Content-Disposition: form-data; name="key"',
            "",
            self._prefix + "form",
            f"--{boundary}",
            'Content-Disposition: form-data; name="file"; filename="f"',
            "",
            "form",
            f"--{boundary}--",
            "",
        )
        headers = {"content-type": f"multipart/form-data; boundary={boundary}"}
        body = "\r\n".join(lines).encode()
        answer = await self._ask("POST", None, headers=headers, body=body, anonymous=True)
        if answer.status in {200, 204}:
            self._written.append(self._prefix + "form")
        return answer.status not in _NOT_OFFERED
