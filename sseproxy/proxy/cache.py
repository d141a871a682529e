"""What this worker remembers of encrypted objects, so that sizes and ETags cost no look-up."""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Callable, Iterable
from dataclasses import dataclass, replace

from cryptography.hazmat.primitives.ciphers.aead import AESGCM

from sseproxy.format.attributes import Attributes
from sseproxy.format.envelope import Envelope
from sseproxy.format.manifest import Manifest
from sseproxy.format.names import ObjectName
from sseproxy.metrics import Metrics
from sseproxy.secret import Secret

_Name = tuple[str, str, str]
_MAX_PAGES = 1000


@dataclass(slots=True)
class SealedObject:
    """An encrypted object as one answer of the store described it.

    encoded: the envelope's text, byte for byte. attributes: envelope and trailer or manifest,
    merged. store_etag: without quotes. last_modified: as in the header. sealed_size: bytes stored.
    manifest: of a multipart object; None while it is only remembered (`lookup.with_manifest`).
    """

    encoded: str
    envelope: Envelope
    attributes: Attributes
    store_etag: str
    last_modified: str
    sealed_size: int
    manifest: Manifest | None = None

    @property
    def is_multipart(self) -> bool:
        """It has a manifest: it was written by a multipart upload, the proxy's own included."""
        return self.attributes.manifest_id is not None

    @property
    def plain_size(self) -> int:
        assert self.attributes.plain_size is not None, "in the envelope, or else in the manifest"
        return self.attributes.plain_size

    @property
    def part_count(self) -> int | None:
        """The client's parts; None for an object that it wrote in one piece."""
        manifest = self.manifest
        return None if manifest is None or manifest.one_piece else len(manifest.parts)


class AttributeCache:
    """The last seen state by (bucket, key, version id or ""), least recently used dropped first.

    An entry never answers a request on its own: it picks the window to ask the store for, or
    fills in a listing entry whose store ETag and size are still the same.
    """

    def __init__(self, metrics: Metrics, entries: int = 100_000) -> None:
        self._entries: OrderedDict[_Name, SealedObject] = OrderedDict()
        self._plain: OrderedDict[tuple[str, str, str, str, int], None] = OrderedDict()
        self._pages: OrderedDict[tuple[str, ...], None] = OrderedDict()
        self._limit = entries
        lookups = metrics.cache_lookups
        self._hit = lookups.labels("attributes", "hit")
        self._miss = lookups.labels("attributes", "miss")
        metrics.cache_entries.labels("attributes").set_function(lambda: len(self._entries))

    def get(
        self, bucket: str, key: str, version: str = "", *, store_etag: str | None = None
    ) -> SealedObject | None:
        """The remembered state, or None; with `store_etag`, only if it is of that ETag."""
        return self._found(
            (bucket, key, version), lambda seen: store_etag in (None, seen.store_etag)
        )

    def listed(
        self, bucket: str, key: str, version: str, etag: str, size: int, modified: str
    ) -> SealedObject | None:
        """The remembered state of what a listing shows, or None if it may be another object.

        etag: the store's, unquoted; size: bytes stored; modified: LastModified of the entry.
        """
        return self._found(
            (bucket, key, version),
            lambda seen: (
                (seen.store_etag, seen.sealed_size) == (etag, size)
                and _same_second(seen.last_modified, modified)
            ),
        )

    def _found(self, name: _Name, fits: Callable[[SealedObject], bool]) -> SealedObject | None:
        found = self._entries.get(name)
        if found is None or not fits(found):
            self._miss.inc()
            return None
        self._entries.move_to_end(name)
        self._hit.inc()
        return found

    def put(self, bucket: str, key: str, version: str, state: SealedObject) -> None:
        """Remember a state, without its part table: `Manifests` bounds those."""
        if state.manifest is not None:
            state = replace(state, manifest=None)
        self._entries[bucket, key, version] = state
        self._entries.move_to_end((bucket, key, version))
        while len(self._entries) > self._limit:
            self._entries.popitem(last=False)

    def put_plain(self, bucket: str, key: str, version: str, etag: str, size: int) -> None:
        """Remember that the object of this very ETag and size is not encrypted."""
        self._plain[bucket, key, version, etag, size] = None
        while len(self._plain) > self._limit:
            self._plain.popitem(last=False)

    def is_plain(self, bucket: str, key: str, version: str, etag: str, size: int) -> bool:
        return (bucket, key, version, etag, size) in self._plain

    def put_page(self, page: tuple[str, ...]) -> None:
        """Remember that the entries of this page of a listing are known here, by now."""
        self._pages[page] = None
        self._pages.move_to_end(page)
        while len(self._pages) > _MAX_PAGES:
            self._pages.popitem(last=False)

    def knows_page(self, page: tuple[str, ...]) -> bool:
        return page in self._pages

    def drop(self, bucket: str, key: str, version: str = "") -> None:
        self._entries.pop((bucket, key, version), None)


@dataclass(slots=True)
class Opened:
    """An envelope that was opened.

    dek, cipher: the data key and what opens the one part of a single PUT, once they were needed
    and where a worker may keep them.
    """

    envelope: Envelope
    attributes: Attributes
    dek: Secret | None = None
    cipher: AESGCM | None = None


class OpenedEnvelopes:
    """Envelopes by their exact bytes and the name they were opened for, and a keyring's epoch.

    They come with every answer of the store and say the same each time. Least recently used are
    dropped first, and all of them with the next epoch: a key version may be gone.
    """

    def __init__(self, metrics: Metrics, entries: int = 16_384) -> None:
        self._entries: OrderedDict[tuple[ObjectName, str], Opened] = OrderedDict()
        self._limit, self._epoch = entries, 0
        lookups = metrics.cache_lookups
        self._hit = lookups.labels("envelopes", "hit")
        self._miss = lookups.labels("envelopes", "miss")
        metrics.cache_entries.labels("envelopes").set_function(lambda: len(self._entries))

    def get(self, name: ObjectName, encoded: str, epoch: int) -> Opened | None:
        """What these very bytes gave at this name, under this keyring."""
        if epoch != self._epoch:
            self._entries.clear()
            self._epoch = epoch
        found = self._entries.get((name, encoded))
        if found is None:
            self._miss.inc()
            return None
        self._entries.move_to_end((name, encoded))
        self._hit.inc()
        return found

    def put(self, name: ObjectName, encoded: str, opened: Opened) -> None:
        """Remember what was opened, and verified, just now."""
        self._entries[name, encoded] = opened
        if len(self._entries) > self._limit:
            self._entries.popitem(last=False)


class ListedEntries:
    """Entries of listings as the store writes them, and as clients get them.

    The store's bytes have key, ETag, size and date in them, so that another object at the key is
    another entry. Least recently used are dropped first.
    """

    def __init__(self, metrics: Metrics, entries: int = 20_000) -> None:
        self._entries: OrderedDict[tuple[str, bool, bytes], bytes] = OrderedDict()
        self._limit = entries
        lookups = metrics.cache_lookups
        self._hit = lookups.labels("listings", "hit")
        self._miss = lookups.labels("listings", "miss")
        metrics.cache_entries.labels("listings").set_function(lambda: len(self._entries))

    def find(self, bucket: str, url_encoded: bool, stored: Iterable[bytes]) -> list[bytes | None]:
        """For each of the store's entries what the client gets, None where it is not known."""
        entries, found = self._entries, []
        for piece in stored:
            name = (bucket, url_encoded, piece)
            shown = entries.get(name)
            if shown is not None:
                entries.move_to_end(name)
            found.append(shown)
        misses = found.count(None)
        self._hit.inc(len(found) - misses)
        self._miss.inc(misses)
        return found

    def put(self, bucket: str, url_encoded: bool, stored: bytes, shown: bytes) -> None:
        """Remember what stands for an entry."""
        self._entries[bucket, url_encoded, stored] = shown
        if len(self._entries) > self._limit:
            self._entries.popitem(last=False)


_MONTHS = ["Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec"]
_HTTP_DATE_CHARS = len("Thu, 01 Jan 2026 00:00:00 GMT")
_ISO_SECONDS_CHARS = len("2026-01-01T00:00:00")


def _same_second(header: str, listed: str) -> bool:
    """Whether Last-Modified and LastModified are of one second; True where none can tell.

    Sliced, not parsed: a listing has a thousand of them.
    """
    if len(header) != _HTTP_DATE_CHARS or header[8:11] not in _MONTHS or listed[10:11] != "T":
        return True
    month = _MONTHS.index(header[8:11]) + 1
    stamp = f"{header[12:16]}-{month:02d}-{header[5:7]}T{header[17:25]}"
    return stamp == listed[:_ISO_SECONDS_CHARS]
