"""One run of a scenario against one endpoint."""

from __future__ import annotations

import base64
import hashlib
import re
import secrets
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

from lxml import etree

from tests.contract.client import Endpoint, Reply, Signing
from tests.contract.fields import Fields, fields_of

Scenario = Callable[["Session"], None]
_VERSION = re.compile(rb"<(?:DeleteMarker)?VersionId>([^<]+)<")
SCENARIOS: dict[str, Scenario] = {}


def scenario(function: Scenario) -> Scenario:
    """Make a function one of the scenarios, under its own name."""
    if function.__name__ in SCENARIOS:
        raise ValueError(f"two scenarios are named {function.__name__}")
    SCENARIOS[function.__name__] = function
    return function


def md5_base64(body: bytes) -> str:
    """The value of Content-MD5."""
    return base64.b64encode(hashlib.md5(body).digest()).decode()


def element(reply: Reply, name: str) -> str:
    """The text of the first element of that name; "" if there is none."""
    if not reply.body.lstrip().startswith(b"<"):
        return ""
    return str(etree.fromstring(reply.body).findtext(f".//{{*}}{name}") or "")


@dataclass
class Session:
    """Sends the requests of a scenario and records the fields of each answer by its step.

    bucket, other: names of the run's own; `bucket` exists. Steps that begin with "_" are not
    recorded.
    """

    endpoint: Endpoint
    bucket: str = field(default_factory=lambda: f"contract-{secrets.token_hex(8)}")
    other: str = field(default_factory=lambda: f"contrast-{secrets.token_hex(8)}")
    steps: dict[str, Fields] = field(default_factory=dict)
    versions: dict[str, str] = field(default_factory=dict)

    def make(self, bucket: str | None = None, headers: Mapping[str, str] = {}) -> None:
        """Make a bucket, unrecorded."""
        reply = self.endpoint.send("PUT", f"/{bucket or self.bucket}", headers=headers)
        assert reply.status == 200, reply

    def ask(
        self,
        step: str,
        method: str,
        key: str | None = None,
        *,
        bucket: str | None = None,
        query: Mapping[str, str] = {},
        headers: Mapping[str, str] = {},
        body: bytes = b"",
        signing: Signing = Signing.V4,
        **options: Any,
    ) -> Reply:
        """Send a request and record its answer as that step."""
        path = f"/{self.bucket if bucket is None else bucket}"
        path += "" if key is None else f"/{key}"
        reply = self.endpoint.send(
            method, path, query=query, headers=headers, body=body, signing=signing, **options
        )
        named = [reply.headers.get("x-amz-version-id", "null"), *_VERSION.findall(reply.body)]
        for version in (name if isinstance(name, str) else name.decode() for name in named):
            if version not in {"null", ""}:
                self.versions.setdefault(version, f"<version {len(self.versions) + 1}>")
        if not step.startswith("_"):
            assert step not in self.steps, f"two steps are named {step}"
            self.steps[step] = fields_of(reply, self._plain)
        return reply

    def put(self, step: str, key: str, body: bytes = b"", **options: Any) -> Reply:
        return self.ask(step, "PUT", key, body=body, **options)

    def get(self, step: str, key: str | None = None, **options: Any) -> Reply:
        return self.ask(step, "GET", key, **options)

    def head(self, step: str, key: str | None = None, **options: Any) -> Reply:
        return self.ask(step, "HEAD", key, **options)

    def delete(self, step: str, key: str | None = None, **options: Any) -> Reply:
        return self.ask(step, "DELETE", key, **options)

    def xml(
        self,
        step: str,
        method: str,
        key: str | None,
        query: Mapping[str, str],
        body: str,
        headers: Mapping[str, str] = {},
        **options: Any,
    ) -> Reply:
        """Send an XML document with its Content-MD5."""
        data = body.encode()
        sent = {"content-md5": md5_base64(data), **headers}
        return self.ask(step, method, key, query=query, headers=sent, body=data, **options)

    def _plain(self, text: str) -> str:
        names = {self.bucket: "<bucket>", self.other: "<other>", self.endpoint.host: "<host>"}
        for name, shown in {**names, **self.versions}.items():
            text = text.replace(name, shown)
        return text
