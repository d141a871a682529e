"""Bucket policies of the store's own that would refuse what the proxy writes.

The store never sees a request for encryption, so a policy there that asks for one refuses every
write. Put through the proxy, such conditions are kept from the store.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field

from sseproxy.errors import StoreRefused
from sseproxy.s3.bucket_policy import refuses_plain_writes
from sseproxy.s3.faults import S3Error
from sseproxy.store.answers import parse_xml, refusal, text
from sseproxy.store.objects import ObjectStore, StoreCredential

_POLICY_LIMIT_BYTES = 1024 * 1024


@dataclass(slots=True)
class PolicyReport:
    """refusing: bucket and its statements. unread: what could not be looked at, and why."""

    refusing: dict[str, list[str]] = field(default_factory=dict)
    unread: list[str] = field(default_factory=list)


async def check_policies(
    store: ObjectStore, credential: StoreCredential, configured: Iterable[str]
) -> PolicyReport:
    """Look at the policy of every bucket that the key may list, and of those configured.

    Best effort: what the key may not see is said in the report. Raises StoreError only if the
    store does not answer.
    """
    report = PolicyReport()
    buckets = set(configured)
    try:
        buckets |= await _buckets(store, credential)
    except StoreRefused as error:
        report.unread.append(f"{error}: looked at are only the buckets of the configuration")
    for bucket in sorted(buckets):
        try:
            statements = await _refusing(store, credential, bucket)
        except (StoreRefused, S3Error, UnicodeDecodeError) as error:
            report.unread.append(f"bucket {bucket}: {error}")
            continue
        if statements:
            report.refusing[bucket] = statements
    return report


async def _buckets(store: ObjectStore, credential: StoreCredential) -> set[str]:
    async with await store.send(credential, "GET", None, None) as response:
        if response.status != 200:
            raise await refusal(response, "listing buckets")
        root = parse_xml(await response.read())
    return {text(bucket, "Name") for bucket in root.iterfind("{*}Buckets/{*}Bucket")}


async def _refusing(store: ObjectStore, credential: StoreCredential, bucket: str) -> list[str]:
    query = [("policy", "")]
    async with await store.send(credential, "GET", bucket, None, query=query) as response:
        if response.status == 404:
            return []
        if response.status != 200:
            raise await refusal(response, "reading its policy")
        document = await response.read(_POLICY_LIMIT_BYTES)
    return refuses_plain_writes(document.decode())
