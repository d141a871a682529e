"""Which encryption a write gets: its own header, what is set by API, the rules of the YAML.

The YAML's rules are floors that neither the store nor the API can weaken.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

from sseproxy.errors import IntegrityError
from sseproxy.keys.bucket_settings import BucketSettings
from sseproxy.s3.faults import Fault, S3Error
from sseproxy.s3.policy_conditions import encryption_values
from sseproxy.s3.sse import SseMode, SseRequest

ALL_MODES = frozenset(SseMode)
NOTHING_SET = BucketSettings()
NEVER_ENCRYPTED = "This bucket is never encrypted (passthrough)."


@dataclass(frozen=True, slots=True)
class BucketPolicy:
    """The rule of one bucket.

    default: the mode of a write that asks for none.
    require_encryption_writes / _reads: `require_encryption: write | read-write`.
    allowed_modes: what a write may end up as. identity: the name sealed into envelopes.
    passthrough: the proxy stays out of this bucket, unknown writes included.
    """

    default: SseMode = SseMode.NONE
    require_encryption_writes: bool = False
    require_encryption_reads: bool = False
    allowed_modes: frozenset[SseMode] = ALL_MODES
    block_sse_c: bool = False
    passthrough: bool = False
    identity: str | None = None

    def default_mode(self, by_api: BucketSettings) -> SseMode:
        """The mode of a write that asks for none."""
        return by_api.encryption.mode if by_api.encryption is not None else self.default

    def writes_stay_plain(self, by_api: BucketSettings = NOTHING_SET) -> bool:
        """A write without SSE headers is stored as it comes."""
        if self.passthrough:
            return True
        return self.default_mode(by_api) is SseMode.NONE and not self.require_encryption_writes

    def mode_of_write(self, asked: SseRequest, by_api: BucketSettings = NOTHING_SET) -> SseMode:
        """The mode of a write. Raises S3Error (AccessDenied) for what the bucket doesn't allow."""
        if self.passthrough:
            if asked.mode is not None:
                raise S3Error(Fault.InvalidRequest, NEVER_ENCRYPTED)
            return SseMode.NONE
        mode = asked.mode or self.default_mode(by_api)
        if mode is SseMode.SSE_C and (self.block_sse_c or by_api.blocks_sse_c):
            raise S3Error(Fault.AccessDenied, "This bucket does not accept SSE-C.")
        if mode is SseMode.NONE and self.require_encryption_writes:
            raise S3Error(
                Fault.AccessDenied,
                "This bucket requires encryption; send a server-side-encryption header.",
            )
        self.check_allowed(mode)
        check_available(mode)
        return mode

    def check_allowed(self, mode: SseMode) -> None:
        """Raise S3Error (AccessDenied) for a mode that is not in `allowed_modes`."""
        if mode not in self.allowed_modes:
            raise S3Error(
                Fault.AccessDenied, f"This bucket does not accept encryption mode {mode.value}."
            )


def check_available(mode: SseMode) -> None:
    """Raise S3Error (NotImplemented) for SSE-KMS where no KMS is configured: as yet, always."""
    if mode is SseMode.SSE_KMS:
        raise S3Error(Fault.NotImplemented, "SSE-KMS is not available: no KMS is configured.")


def refuse_by_documents(
    by_api: BucketSettings, asked: SseRequest, names: frozenset[str], resource: str
) -> None:
    """Raise S3Error (AccessDenied) for a write that the bucket's policy denies for its encryption.

    names: of the user, empty for an anonymous one. resource: `bucket/key`.
    """
    values = encryption_values(asked)
    if any(policy.denies(names, resource, values) for policy in by_api.policies):
        raise S3Error(
            Fault.AccessDenied, "The bucket policy denies a write with this server-side encryption."
        )


def refuse_plaintext(policy: BucketPolicy) -> None:
    """An object came as plaintext. Raises IntegrityError where the bucket says it can't have."""
    if policy.require_encryption_reads:
        raise IntegrityError("plaintext", "plaintext in a bucket that requires encryption")


@dataclass(frozen=True, slots=True)
class Policies:
    """The default rule, and the buckets that have one of their own."""

    default: BucketPolicy = field(default_factory=BucketPolicy)
    buckets: Mapping[str, BucketPolicy] = field(default_factory=dict)

    def of(self, bucket: str) -> BucketPolicy:
        return self.buckets.get(bucket, self.default)

    def identity(self, bucket: str) -> str:
        """The bucket identity sealed into envelopes (docs/format.md section 1)."""
        return self.of(bucket).identity or bucket
