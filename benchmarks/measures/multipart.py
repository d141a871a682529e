"""A multipart upload: 1 GiB in parts of 16 MiB, four at a time."""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence

from lxml import etree

from benchmarks.accounting import MIB, Way, interleaved
from benchmarks.bench import Bench, endpoint_of, pid_of
from benchmarks.client import etag_of, fetched, in_parallel
from benchmarks.peers import BUCKET
from benchmarks.results import cpu, rate, ratio_of_rates
from benchmarks.signing import SSE_S3, Endpoint, signed_head

PART = 16 * MIB
_CONNECTIONS = 4


def measure(bench: Bench) -> None:
    """Into MinIO: plain, encrypted by itself, by sseproxy, and through nginx."""
    parts = 16 if bench.quick else 64
    body = os.urandom(PART)
    store, own = bench.minio, bench.minio_sse
    relay = endpoint_of(bench.nginx, store, signed_for=endpoint_of(store).host)
    ways = {
        "MinIO": Way(UploadWork(endpoint_of(store), {}, body, parts), {"store": pid_of(store)}),
        "MinIO's own SSE-S3": Way(
            UploadWork(endpoint_of(own), SSE_S3, body, parts), {"store": pid_of(own)}
        ),
        "nginx": Way(
            UploadWork(relay, {}, body, parts),
            {"front": pid_of(bench.nginx), "store": pid_of(store)},
        ),
        "sseproxy SSE-S3": Way(
            UploadWork(endpoint_of(bench.proxy, store), SSE_S3, body, parts),
            {"front": pid_of(bench.proxy), "store": pid_of(store)},
        ),
    }
    costs = interleaved(ways, max(2, bench.rounds // 2), parts * PART / 1e9, bench.say)
    rows = [
        (
            name,
            [
                rate(each),
                cpu(each, "front") if "front" in each[0].cpu else None,
                cpu(each, "store"),
            ],
        )
        for name, each in costs.items()
    ]
    bench.table(
        f"Multipart upload of {parts} parts of 16 MiB",
        ["GB/s", "CPU-s/GB in front", "CPU-s/GB of the store"],
        rows,
    )
    bench.line(
        "Multipart upload throughput: encrypted by sseproxy / by MinIO itself",
        ratio_of_rates(costs, "sseproxy SSE-S3", "MinIO's own SSE-S3"),
        1.0,
        at_least=True,
    )


class UploadWork:
    """Create, parts in parallel, complete; as something to call."""

    def __init__(
        self,
        endpoint: Endpoint,
        headers: Mapping[str, str],
        body: bytes,
        parts: int,
        target: str = f"/{BUCKET}/multipart",
    ) -> None:
        self._endpoint, self._headers, self._body = endpoint, headers, body
        self._parts, self._target = parts, target

    def __call__(self) -> None:
        endpoint, target = self._endpoint, self._target
        create = signed_head(endpoint, "POST", f"{target}?uploads=", self._headers, body=b"")
        upload = etree.fromstring(fetched(endpoint.port, create)).findtext("{*}UploadId")
        requests = [
            (
                signed_head(
                    endpoint,
                    "PUT",
                    f"{target}?partNumber={number}&uploadId={upload}",
                    length=len(self._body),
                ),
                memoryview(self._body),
            )
            for number in range(1, self._parts + 1)
        ]
        heads = in_parallel(endpoint.port, requests, _CONNECTIONS)
        document = _completion([etag_of(head) for head in heads])
        complete = signed_head(endpoint, "POST", f"{target}?uploadId={upload}", body=document)
        answer = fetched(endpoint.port, complete + document)
        if b"CompleteMultipartUploadResult" not in answer:
            raise RuntimeError(answer.decode())


def _completion(etags: Sequence[str]) -> bytes:
    root = etree.Element("CompleteMultipartUpload")
    for number, etag in enumerate(etags, 1):
        part = etree.SubElement(root, "Part")
        etree.SubElement(part, "PartNumber").text = str(number)
        etree.SubElement(part, "ETag").text = etag
    return bytes(etree.tostring(root))
