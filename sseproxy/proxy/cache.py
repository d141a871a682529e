"""What this worker remembers of encrypted objects, so that sizes and ETags cost no look-up."""

from __future__ import annotations

from collections import OrderedDict
from dataclasses import dataclass

from sseproxy.format.attributes import Attributes
from sseproxy.format.envelope import Envelope
from sseproxy.metrics import Metrics

_Name = tuple[str, str, str]


@dataclass(frozen=True, slots=True)
class SealedObject:
    """An encrypted object as one answer of the store described it.

    encoded: the envelope's text, byte for byte. attributes: envelope and trailer, merged.
    store_etag: without quotes. last_modified: as in the header. sealed_size: bytes stored.
    """

    encoded: str
    envelope: Envelope
    attributes: Attributes
    store_etag: str
    last_modified: str
    sealed_size: int

    @property
    def plain_size(self) -> int:
        assert self.attributes.plain_size is not None, "checked when the envelope was opened"
        return self.attributes.plain_size


class AttributeCache:
    """The last seen state by (bucket, key, version id or ""), least recently used dropped first.

    An entry never answers a request on its own: it picks the window to ask the store for, or
    fills in a listing entry whose store ETag and size are still the same.
    """

    def __init__(self, metrics: Metrics, entries: int = 100_000) -> None:
        self._entries: OrderedDict[_Name, SealedObject] = OrderedDict()
        self._plain: OrderedDict[tuple[str, str, str, str, int], None] = OrderedDict()
        self._limit = entries
        lookups = metrics.cache_lookups
        self._hit = lookups.labels("attributes", "hit")
        self._miss = lookups.labels("attributes", "miss")
        metrics.cache_entries.labels("attributes").set_function(lambda: len(self._entries))

    def get(
        self, bucket: str, key: str, version: str = "", *, store_etag: str | None = None
    ) -> SealedObject | None:
        """The remembered state, or None; with `store_etag`, only if it is of that ETag."""
        name = (bucket, key, version)
        found = self._entries.get(name)
        if found is None or (store_etag is not None and found.store_etag != store_etag):
            self._miss.inc()
            return None
        self._entries.move_to_end(name)
        self._hit.inc()
        return found

    def put(self, bucket: str, key: str, version: str, state: SealedObject) -> None:
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

    def drop(self, bucket: str, key: str, version: str = "") -> None:
        self._entries.pop((bucket, key, version), None)
