"""A bucket of the store in memory: versions of objects, and uploads in progress."""

from __future__ import annotations

import secrets
from dataclasses import dataclass, field
from datetime import datetime

from tests.store.memory_model import Refused, Stored, md5_hex


@dataclass
class Part:
    """One part of an upload, the last of its number."""

    data: bytes
    last_modified: datetime

    @property
    def etag(self) -> str:
        return md5_hex(self.data)


@dataclass
class Upload:
    """A multipart upload that is neither completed nor aborted."""

    key: str
    headers: dict[str, str]
    tags: dict[str, str]
    initiated: datetime
    upload_id: str = field(default_factory=lambda: secrets.token_hex(16))
    parts: dict[int, Part] = field(default_factory=dict)


@dataclass
class Bucket:
    versions: dict[str, list[Stored]] = field(default_factory=dict)
    uploads: dict[str, Upload] = field(default_factory=dict)
    versioned: bool = False
    public: bool = False
    policy: bytes | None = None

    def current(self, key: str) -> Stored | None:
        newest = self.versions.get(key, [None])[-1]
        return None if newest is None or newest.delete_marker else newest

    def find(self, key: str, version: str | None) -> Stored:
        if version is None:
            found = self.current(key)
            if found is None:
                raise Refused(404, "NoSuchKey")
            return found
        for stored in self.versions.get(key, ()):
            if stored.version_id == version:
                if stored.delete_marker:
                    raise Refused(405, "MethodNotAllowed")
                return stored
        raise Refused(404, "NoSuchVersion")

    def find_upload(self, key: str, upload_id: str) -> Upload:
        upload = self.uploads.get(upload_id)
        if upload is None or upload.key != key:
            raise Refused(404, "NoSuchUpload")
        return upload

    def add(self, key: str, stored: Stored) -> dict[str, str]:
        """Make it the current version; the headers that tell of it."""
        if not self.versioned:
            stored.version_id = "null"
            self.versions[key] = [s for s in self.versions.get(key, []) if s.version_id != "null"]
        self.versions.setdefault(key, []).append(stored)
        headers = {"etag": f'"{stored.etag}"'}
        if self.versioned:
            headers["x-amz-version-id"] = stored.version_id
        return headers

    def remove(self, key: str, version: str | None, now: datetime) -> dict[str, str]:
        entries = self.versions.get(key, [])
        if version is not None:
            self.versions[key] = [s for s in entries if s.version_id != version]
        elif self.versioned:
            marker = Stored.marker(now)
            self.versions.setdefault(key, []).append(marker)
            return {"x-amz-version-id": marker.version_id, "x-amz-delete-marker": "true"}
        else:
            self.versions[key] = []
        if not self.versions[key]:
            del self.versions[key]
        return {}
