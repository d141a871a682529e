"""GetObjectAttributes of objects with parts, and what of the request is refused."""

from __future__ import annotations

from typing import Any

import pytest
from lxml import etree

from tests.proxy.multipart_samples import bodies_of, crc32, lay
from tests.proxy.samples import KEY, SMALL, body_of
from tests.proxy.wire import Answer, Wire, b64, customer, md5
from tests.store.memory import MemoryStore

ASKED = {"x-amz-object-attributes": "ETag,Checksum,ObjectParts,StorageClass,ObjectSize"}
QUERY = {"attributes": ""}


def tree(answer: Answer) -> dict[str, Any]:
    """The XML as botocore reads it: names, and a list for the parts."""
    assert answer.status == 200, answer.body

    def read(element: etree._Element) -> Any:
        if not len(element):
            return element.text or ""
        found: dict[str, Any] = {}
        for child in element:
            name = etree.QName(child).localname
            if name == "Part":
                found.setdefault(name, []).append(read(child))
            else:
                found[name] = read(child)
        return found

    return read(etree.fromstring(answer.body)) or {}


class TestParts:
    async def test_composite(self, wire: Wire, store: MemoryStore) -> None:
        made = await lay(wire, store, bodies_of([10, 0, 30]), numbers=[1, 5, 9])
        got = await wire.get(made.path, ASKED, query=QUERY)
        whole = crc32(b"".join(crc32(body) for body in made.bodies))
        assert tree(got) == {
            "ETag": made.etag,
            "Checksum": {"ChecksumCRC32": b64(whole), "ChecksumType": "COMPOSITE"},
            "ObjectParts": {
                "PartsCount": "3",
                "PartNumberMarker": "0",
                "NextPartNumberMarker": "9",
                "MaxParts": "1000",
                "IsTruncated": "false",
                "Part": [
                    {"PartNumber": str(n), "Size": str(len(b)), "ChecksumCRC32": b64(crc32(b))}
                    for n, b in zip((1, 5, 9), made.bodies, strict=True)
                ],
            },
            "StorageClass": "STANDARD",
            "ObjectSize": "40",
        }
        assert "last-modified" in got.headers

    async def test_pages(self, wire: Wire, store: MemoryStore) -> None:
        made = await lay(wire, store, bodies_of([1, 2, 3, 4, 5]))
        seen, marker = [], "0"
        for _ in range(3):
            headers = {**ASKED, "x-amz-max-parts": "2", "x-amz-part-number-marker": marker}
            parts = tree(await wire.get(made.path, headers, query=QUERY))["ObjectParts"]
            assert (parts["PartNumberMarker"], parts["MaxParts"]) == (marker, "2")
            seen += [part["Size"] for part in parts["Part"]]
            marker = parts["NextPartNumberMarker"]
            assert parts["IsTruncated"] == ("true" if len(seen) < 5 else "false")
        assert seen == ["1", "2", "3", "4", "5"]
        after = {**ASKED, "x-amz-part-number-marker": "5"}
        parts = tree(await wire.get(made.path, after, query=QUERY))["ObjectParts"]
        assert (parts["NextPartNumberMarker"], parts["IsTruncated"]) == ("5", "false")
        assert "Part" not in parts
        none = {**ASKED, "x-amz-max-parts": "0"}
        parts = tree(await wire.get(made.path, none, query=QUERY))["ObjectParts"]
        assert (parts["IsTruncated"], "Part" in parts) == ("true", False)

    async def test_a_page_has_a_thousand(self, wire: Wire, store: MemoryStore) -> None:
        made = await lay(wire, store, [b"x"] * 1003)
        for headers in (ASKED, {**ASKED, "x-amz-max-parts": "5000"}):
            parts = tree(await wire.get(made.path, headers, query=QUERY))["ObjectParts"]
            assert (len(parts["Part"]), parts["NextPartNumberMarker"]) == (1000, "1000")
            assert (parts["PartsCount"], parts["IsTruncated"]) == ("1003", "true")

    @pytest.mark.parametrize("checksum", [True, False])
    async def test_parts_are_told_only_with_composite_checksums(
        self, wire: Wire, store: MemoryStore, checksum: bool
    ) -> None:
        made = await lay(wire, store, bodies_of([10, 20]), composite=False, checksum=checksum)
        told = tree(await wire.get(made.path, ASKED, query=QUERY))
        assert told["ObjectParts"] == {"PartsCount": "2"}
        whole = {"ChecksumCRC32": b64(crc32(made.body)), "ChecksumType": "FULL_OBJECT"}
        assert told.get("Checksum") == (whole if checksum else None)

    async def test_an_object_in_one_piece_has_none(self, wire: Wire, store: MemoryStore) -> None:
        made = await lay(wire, store, bodies_of([10, 20]), one_piece=True, composite=False)
        await wire.put("/data/single", body_of(SMALL))
        for path in (made.path, "/data/single"):
            assert "ObjectParts" not in tree(await wire.get(path, ASKED, query=QUERY))

    async def test_a_customer_key_is_needed(self, wire: Wire, store: MemoryStore) -> None:
        made = await lay(wire, store, bodies_of([10, 20]), customer_key=KEY)
        assert (await wire.get(made.path, ASKED, query=QUERY)).code == "InvalidRequest"
        told = tree(await wire.get(made.path, ASKED | customer(KEY), query=QUERY))
        assert told["ETag"] == made.etag


class TestRefused:
    @pytest.mark.parametrize("path", ["/data/k", "/plain/k"])
    @pytest.mark.parametrize("text", [None, "", " ", ",", "etag", "ETag,Nothing", "ETag Checksum"])
    async def test_attributes_that_are_none(self, wire: Wire, path: str, text: str | None) -> None:
        await wire.put(path, b"x")
        headers = {} if text is None else {"x-amz-object-attributes": text}
        got = await wire.get(path, headers, query=QUERY)
        assert (got.status, got.code) == (400, "InvalidArgument")
        assert got.text("ArgumentName") == "x-amz-object-attributes"

    @pytest.mark.parametrize("name", ["max-parts", "part-number-marker"])
    @pytest.mark.parametrize("text", ["-1", "x", "1.5", "2147483648", "", "99999999999"])
    async def test_numbers_that_are_none(self, wire: Wire, name: str, text: str) -> None:
        await wire.put("/data/k", b"x")
        got = await wire.get("/data/k", {**ASKED, f"x-amz-{name}": text}, query=QUERY)
        assert (got.status, got.code) == (400, "InvalidArgument")
        assert got.text("ArgumentName") == name


async def test_of_a_version(wire: Wire, store: MemoryStore) -> None:
    store.buckets["data"].versioned = True
    puts = [await wire.put("/data/k", body_of(size)) for size in (10, 20)]
    for put, size in zip(puts, (10, 20), strict=True):
        version = put.headers["x-amz-version-id"]
        got = await wire.get("/data/k", ASKED, query={**QUERY, "versionId": version})
        told = tree(got)
        assert (told["ObjectSize"], told["ETag"]) == (str(size), md5(body_of(size)))
        assert got.headers["x-amz-version-id"] == version
