"""The proxy's Prometheus metrics, each documented in docs/metrics.md (a test holds that)."""

from __future__ import annotations

import platform
from functools import lru_cache
from typing import Final

from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram, Info
from prometheus_client.exposition import CONTENT_TYPE_LATEST, generate_latest

from sseproxy import __version__
from sseproxy.errors import StoreCut, StoreError, StoreProtocolError, StoreUnavailable

CONTENT_TYPE: Final = CONTENT_TYPE_LATEST
_SECONDS: Final = (
    0.001,
    0.002,
    0.005,
    0.01,
    0.025,
    0.05,
    0.1,
    0.25,
    0.5,
    1,
    2.5,
    5,
    10,
    30,
    60,
    300,
)


_STORE_ERRORS: Final = (
    (StoreUnavailable, "unavailable"),
    (StoreProtocolError, "protocol"),
    (StoreCut, "cut"),
)


class Metrics:
    """All metrics, over a registry of their own: several apps in one process don't collide."""

    def __init__(self, registry: CollectorRegistry | None = None) -> None:
        self.registry = registry or CollectorRegistry()
        r = self.registry
        self.requests = Counter(
            "sseproxy_requests",
            "Requests answered.",
            ["operation", "mode", "dialect", "status"],
            registry=r,
        )
        self.request_seconds = Histogram(
            "sseproxy_request_seconds",
            "Time from the request's head to the last byte of the answer.",
            ["operation"],
            buckets=_SECONDS,
            registry=r,
        )
        self.first_byte_seconds = Histogram(
            "sseproxy_first_byte_seconds",
            "Time from the request's head to the first byte of the answer.",
            ["operation"],
            buckets=_SECONDS,
            registry=r,
        )
        self.plain_bytes = Counter(
            "sseproxy_plain_bytes",
            "Plaintext bytes of object data received from (in) or sent to (out) clients.",
            ["direction", "mode"],
            registry=r,
        )
        self.sealed_bytes = Counter(
            "sseproxy_sealed_bytes",
            "Sealed bytes of object data sent to (in) or received from (out) the store.",
            ["direction", "mode"],
            registry=r,
        )
        self.store_requests = Counter(
            "sseproxy_store_requests",
            "Requests to the store by method and the status it answered.",
            ["method", "status"],
            registry=r,
        )
        self.store_errors = Counter(
            "sseproxy_store_errors",
            "Requests to the store that failed: unavailable, protocol, cut, refused.",
            ["reason"],
            registry=r,
        )
        self.store_seconds = Histogram(
            "sseproxy_store_seconds",
            "Time from a request to the store to the head of its answer.",
            ["method"],
            buckets=_SECONDS,
            registry=r,
        )
        self.authentication_failures = Counter(
            "sseproxy_authentication_failures",
            "Requests whose signature or customer key was refused, by the name of the error.",
            ["reason"],
            registry=r,
        )
        self.credential_hook_requests = Counter(
            "sseproxy_credential_hook_requests",
            "Requests to the credential hook: found, unknown, failed.",
            ["result"],
            registry=r,
        )
        self.credential_hook_seconds = Histogram(
            "sseproxy_credential_hook_seconds",
            "Time of a request to the credential hook.",
            buckets=_SECONDS,
            registry=r,
        )
        self.integrity_failures = Counter(
            "sseproxy_integrity_failures",
            "Stored bytes that failed authentication: altered, cut, swapped or foreign.",
            ["reason"],
            registry=r,
        )
        self.anonymous_denials = Counter(
            "sseproxy_anonymous_denials",
            "Anonymous requests refused because the object is, or would be, encrypted.",
            ["operation"],
            registry=r,
        )
        self.cache_lookups = Counter(
            "sseproxy_cache_lookups",
            "Look-ups in the worker's caches by result (hit, miss).",
            ["cache", "result"],
            registry=r,
        )
        self.cache_entries = Gauge(
            "sseproxy_cache_entries", "Entries in the worker's caches.", ["cache"], registry=r
        )
        self.keyring_epoch = Gauge(
            "sseproxy_keyring_epoch", "Epoch of the keyring in use.", registry=r
        )
        self.keyring_age_seconds = Gauge(
            "sseproxy_keyring_age_seconds",
            "Seconds since the keyring was last read from the store.",
            registry=r,
        )
        self.settings_age_seconds = Gauge(
            "sseproxy_settings_age_seconds",
            "Seconds since the settings index was last read from the store.",
            registry=r,
        )
        self.in_flight = Gauge(
            "sseproxy_requests_in_flight", "Requests being served now.", registry=r
        )
        self.build = Info("sseproxy_build", "Version of sseproxy and of Python.", registry=r)
        self.build.info({"version": __version__, "python": platform.python_version()})

        # `labels` takes the library's lock and compares strings: too slow for every request.
        self._requests = lru_cache(4096)(self.requests.labels)
        self._plain_bytes = lru_cache(64)(self.plain_bytes.labels)
        self._sealed_bytes = lru_cache(64)(self.sealed_bytes.labels)
        self._store_requests = lru_cache(1024)(self.store_requests.labels)
        self._store_seconds = lru_cache(64)(self.store_seconds.labels)
        self._request_seconds = lru_cache(256)(self.request_seconds.labels)
        self._first_byte_seconds = lru_cache(256)(self.first_byte_seconds.labels)

    def answered(
        self,
        operation: str,
        mode: str,
        dialect: str,
        status: str,
        *,
        first_byte_s: float,
        total_s: float,
    ) -> None:
        """Count a request that was answered; times since its head."""
        self._requests(operation, mode, dialect, status).inc()
        self._request_seconds(operation).observe(total_s)
        self._first_byte_seconds(operation).observe(first_byte_s)

    def store_answered(self, method: str, status: int, seconds: float) -> None:
        """Count a request to the store that was answered."""
        self._store_requests(method, str(status)).inc()
        self._store_seconds(method).observe(seconds)

    def object_bytes(
        self, direction: str, mode: str, *, plain: int | None = None, sealed: int | None = None
    ) -> None:
        """Count bytes of object data; direction: "in" or "out"."""
        if plain is not None:
            self._plain_bytes(direction, mode).inc(plain)
        if sealed is not None:
            self._sealed_bytes(direction, mode).inc(sealed)

    def store_error(self, error: StoreError) -> None:
        """Count a request to the store that failed."""
        self.store_errors.labels(
            next((reason for kind, reason in _STORE_ERRORS if isinstance(error, kind)), "refused")
        ).inc()

    def render(self) -> bytes:
        """The metrics in Prometheus' text format (content type: CONTENT_TYPE)."""
        return generate_latest(self.registry)
