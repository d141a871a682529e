"""A multipart upload as its record has it, and the uploads that this worker opened last."""

from __future__ import annotations

from collections import OrderedDict
from dataclasses import dataclass

from sseproxy.format.attributes import Attributes
from sseproxy.format.envelope import Envelope
from sseproxy.format.upload import UploadRecord
from sseproxy.s3.sse import SseMode


@dataclass(frozen=True, slots=True)
class Upload:
    """An upload that was created through the proxy and has its record.

    bucket, key: as the store is asked for them. folder: of its records in the system bucket.
    ak_version: which attribute key they are sealed under. envelope, attributes: what the object
    will have; None if it is not encrypted (mode NONE).
    """

    bucket: str
    key: str
    record: UploadRecord
    folder: str
    ak_version: int
    mode: SseMode
    envelope: Envelope | None = None
    attributes: Attributes | None = None

    @property
    def upload_id(self) -> str:
        """The store's, which clients have too."""
        return self.record.upload_id

    @property
    def sealed(self) -> tuple[Envelope, Attributes]:
        """Envelope and attributes of an upload that is encrypted; only asked of those."""
        assert self.envelope is not None, "the upload is encrypted"
        assert self.attributes is not None, "opened with the envelope"
        return self.envelope, self.attributes

    @property
    def manifest_id(self) -> bytes:
        """What names the manifests of an encrypted upload; 16 bytes."""
        manifest_id = self.sealed[1].manifest_id
        assert manifest_id is not None, "checked when the record was opened"
        return manifest_id


class RecentUploads:
    """Uploads by folder, least recently used dropped first.

    Only what saves a request for the record of every part: whether the upload still exists is
    the store's to say, which is asked for the part in any case.
    """

    def __init__(self, limit: int = 1024) -> None:
        self._limit = limit
        self._entries: OrderedDict[str, Upload] = OrderedDict()

    def get(self, folder: str) -> Upload | None:
        found = self._entries.get(folder)
        if found is not None:
            self._entries.move_to_end(folder)
        return found

    def put(self, upload: Upload) -> None:
        self._entries[upload.folder] = upload
        self._entries.move_to_end(upload.folder)
        while len(self._entries) > self._limit:
            self._entries.popitem(last=False)

    def drop(self, folder: str) -> None:
        self._entries.pop(folder, None)
