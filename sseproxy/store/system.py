"""The system bucket: sealed records as objects, changed by conditional PUTs only."""

from __future__ import annotations

import base64
import hashlib
from collections.abc import Sequence
from dataclasses import dataclass

from sseproxy.errors import RecordConflict, StoreProtocolError
from sseproxy.s3.xml import MAX_DELETE_OBJECTS, DeleteItem, delete_request
from sseproxy.store.answers import check_deleted, listed_keys, refusal
from sseproxy.store.objects import ObjectStore, StoreCredential

_RECORD_LIMIT_BYTES = 16 * 1024 * 1024
_LOST = frozenset({404, 409, 412})
_PAGE_KEYS = 1000


@dataclass(frozen=True, slots=True)
class Record:
    """A record's sealed bytes, and the ETag (unquoted) that a change of it names."""

    data: bytes
    etag: str


class SystemBucket:
    """A RecordStore in a bucket of the store's, reached with the service account."""

    def __init__(self, store: ObjectStore, credential: StoreCredential, bucket: str) -> None:
        self._store, self._credential, self._bucket = store, credential, bucket

    async def get(self, name: str) -> Record | None:
        """The record, or None if there is none. A missing bucket is an error: StoreRefused."""
        sent = await self._store.send(self._credential, "GET", self._bucket, name)
        async with sent as response:
            if response.status == 200:
                data = await response.read(_RECORD_LIMIT_BYTES)
                return Record(data, _etag(response.headers))
            error = await refusal(response, f"reading record {name}")
            if response.status == 404 and error.code == "NoSuchKey":
                return None
            raise error

    async def put(
        self, name: str, data: bytes, *, if_match: str | None = None, if_absent: bool = False
    ) -> str:
        """Write a record and return its ETag.

        if_match: only over the record with this ETag. if_absent: only where there is none.
        Raises RecordConflict when that does not hold, StoreRefused for any other refusal.
        """
        headers = {"content-type": "application/octet-stream"}
        if if_absent:
            headers["if-none-match"] = "*"
        if if_match is not None:
            headers["if-match"] = f'"{if_match}"'
        sent = await self._store.send(
            self._credential, "PUT", self._bucket, name, headers=headers, body=data
        )
        async with sent as response:
            if response.status == 200:
                await response.read()
                return _etag(response.headers)
            error = await refusal(response, f"writing record {name}")
            conditional = if_absent or if_match is not None
            if conditional and response.status in _LOST and error.code != "NoSuchBucket":
                raise RecordConflict(f"record {name} was changed by another writer") from error
            raise error

    async def delete(self, name: str) -> None:
        """Remove a record; one that is not there is no error."""
        sent = await self._store.send(self._credential, "DELETE", self._bucket, name)
        async with sent as response:
            if response.status in {200, 204}:
                await response.read()
                return
            error = await refusal(response, f"deleting record {name}")
            if error.code != "NoSuchKey":
                raise error

    async def delete_many(self, names: Sequence[str]) -> None:
        """Remove records, a thousand with each request; those that are not there are no error.

        Raises StoreRefused if any of them could not be removed; others may have been.
        """
        for start in range(0, len(names), MAX_DELETE_OBJECTS):
            items = [DeleteItem(name) for name in names[start : start + MAX_DELETE_OBJECTS]]
            body = delete_request(items, quiet=True)
            digest = hashlib.md5(body, usedforsecurity=False).digest()
            headers = {
                "content-type": "application/xml",
                "content-md5": base64.b64encode(digest).decode(),
            }
            query = [("delete", "")]
            sent = await self._store.send(
                self._credential,
                "POST",
                self._bucket,
                None,
                query=query,
                headers=headers,
                body=body,
            )
            async with sent as response:
                if response.status != 200:
                    raise await refusal(response, "deleting records")
                check_deleted(await response.read())

    async def list(
        self, prefix: str, *, after: str | None = None, limit: int | None = None
    ) -> list[str]:
        """The names that begin with the prefix, in the order of their bytes.

        after: only names behind this one. limit: no more than this many.
        """
        names: list[str] = []
        token: str | None = None
        while limit is None or len(names) < limit:
            query = [("list-type", "2"), ("prefix", prefix), ("encoding-type", "url")]
            if after is not None:
                query.append(("start-after", after))
            if limit is not None:
                query.append(("max-keys", str(min(limit - len(names), _PAGE_KEYS))))
            if token is not None:
                query.append(("continuation-token", token))
            sent = await self._store.send(self._credential, "GET", self._bucket, None, query=query)
            async with sent as response:
                if response.status != 200:
                    raise await refusal(response, "listing records")
                keys, following = listed_keys(await response.read())
            names += keys
            if following is None:
                break
            if following == token:
                raise StoreProtocolError("a listing that does not advance")
            token = following
        return names

    async def ensure_bucket(self) -> None:
        """Make the bucket unless it exists. StoreRefused if it can't be had."""
        sent = await self._store.send(self._credential, "HEAD", self._bucket, None)
        async with sent as response:
            if response.status == 200:
                return
            if response.status != 404:
                raise await refusal(
                    response,
                    f"looking for the system bucket {self._bucket} (is the service account right?)",
                )
        sent = await self._store.send(self._credential, "PUT", self._bucket, None)
        async with sent as response:
            if response.status == 200:
                await response.read()
                return
            error = await refusal(response, f"making the system bucket {self._bucket}")
            if error.code != "BucketAlreadyOwnedByYou":
                raise error


def _etag(headers: dict[str, str]) -> str:
    etag = headers.get("etag", "").strip('"')
    if not etag:
        raise StoreProtocolError("an answer without ETag to a record")
    return etag
