"""What a particular store really does, as measured by probe.py."""

from __future__ import annotations

from dataclasses import dataclass, fields
from typing import Any

from sseproxy.errors import StoreError


class UnsafeStore(StoreError):
    """The store lacks something that safety rests on. `failures`: one sentence for each."""

    def __init__(self, failures: tuple[str, ...]) -> None:
        self.failures = failures
        super().__init__("this store can't be used: " + "; ".join(failures))


@dataclass(frozen=True, slots=True)
class Quirks:
    """The measured behaviour of one store.

    server: its own name for itself, a guess. The first six must hold (`failures`):
    put_if_absent, put_if_match: a conditional PUT is refused when its condition fails, and made
    when it holds. cut_upload_discarded: a PUT cut in mid-body leaves what was there. ranges: a
    range of an object, its end included (`bytes=-n`), is answered with exactly those bytes.
    metadata_kept: 1,024 bytes of user metadata come back unchanged. name_component_255: a
    component of 255 bytes is accepted (part records need it).

    metadata_bytes: the largest user metadata accepted (names with their prefix and values), of
    the sizes tried; 0 if none was. delete_if_match, copy_if_match, complete_if_match: conditions
    on DELETE, on a copy's destination, on CompleteMultipartUpload are honoured.
    metadata_listing: ListObjectsV2 with `metadata=true` brings user metadata. post_form: browser
    form uploads are known. name_component_long: a component of 256 bytes is accepted.
    key_1024: a key of 1,024 bytes is. double_slash: `a//b` is a key of its own,
    and leading_slash: `/a`. folder_bodies: an object whose key ends with "/" keeps its data.
    """

    server: str
    put_if_absent: bool
    put_if_match: bool
    cut_upload_discarded: bool
    ranges: bool
    metadata_kept: bool
    name_component_255: bool
    metadata_bytes: int
    delete_if_match: bool
    copy_if_match: bool
    complete_if_match: bool
    metadata_listing: bool
    post_form: bool
    name_component_long: bool
    key_1024: bool
    double_slash: bool
    leading_slash: bool
    folder_bodies: bool

    def failures(self) -> tuple[str, ...]:
        """What is missing of what safety rests on; empty for a store that can be used."""
        return tuple(reason for name, reason in REQUIRED.items() if not getattr(self, name))

    def as_table(self) -> list[tuple[str, Any]]:
        """Names and values in order, for `check-store` and the console."""
        return [(field.name, getattr(self, field.name)) for field in fields(self)]


REQUIRED = {
    "put_if_absent": "PUT with If-None-Match is not honoured",
    "put_if_match": "PUT with If-Match is not honoured",
    "cut_upload_discarded": "an upload cut in mid-body replaced or created an object",
    "ranges": "ranges of an object are not answered exactly",
    "metadata_kept": "user metadata does not come back as it was sent",
    "name_component_255": "a name component of 255 bytes is refused",
}
