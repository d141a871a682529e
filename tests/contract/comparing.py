"""The answers of a store and those of the proxy over it, compared field by field."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from fnmatch import fnmatchcase

from tests.contract import scenarios
from tests.contract.client import Endpoint
from tests.contract.fields import Fields
from tests.contract.session import SCENARIOS, Session

__all__ = ["Comparison", "Difference", "Found", "scenarios"]

# The words of Difference.stores and Difference.buckets.
SEAWEEDFS, MINIO, BOTH = "seaweedfs", "minio", "seaweedfs minio"
ENCRYPTED, PLAIN, ALL = "encrypted", "plain", "plain encrypted"

Steps = Mapping[str, Fields]
_OUTCOME = ("status", "xml Error/Code")


@dataclass(frozen=True)
class Found:
    """One field that the proxy answers differently; None: the field is not there."""

    where: str  # scenario / step
    field: str
    direct: str | None
    proxied: str | None

    def __str__(self) -> str:
        return f"{self.where} | {self.field} | {self.direct!r} -> {self.proxied!r}"


@dataclass(frozen=True)
class Difference:
    """A difference that may be: patterns of where and what, and the reason.

    stores, buckets: which of them, in words separated by blanks. where: patterns of
    "scenario / step", any of which may match. direct, proxied: patterns of the values; "-" is a
    field that is not there, "*" anything. steady: it occurs in every run; one that does not rests
    on what the store leaves to chance.
    """

    stores: str
    buckets: str
    where: tuple[str, ...]
    fields: tuple[str, ...]
    reason: str
    direct: str = "*"
    proxied: str = "*"
    steady: bool = True

    def is_about(self, store: str, bucket: str) -> bool:
        return store in self.stores.split() and bucket in self.buckets.split()

    def matching(self, found: Found) -> list[str]:
        """Which patterns of `where` are met."""
        return [pattern for pattern in self.where if fnmatchcase(found.where, pattern)]

    def allows(self, found: Found) -> bool:
        return (
            bool(self.matching(found))
            and any(fnmatchcase(found.field, pattern) for pattern in self.fields)
            and _fits(self.direct, found.direct)
            and _fits(self.proxied, found.proxied)
        )


def _fits(pattern: str, value: str | None) -> bool:
    if pattern == "*":
        return True
    return value is None if pattern == "-" else value is not None and fnmatchcase(value, pattern)


@dataclass
class Comparison:
    """Runs scenarios against a store and the proxies over it, each once."""

    endpoints: Mapping[str, Endpoint]  # "direct", and by kind of bucket
    _runs: dict[tuple[str, str], Steps] = field(default_factory=dict)

    def steps(self, scenario: str, endpoint: str) -> Steps:
        if (scenario, endpoint) not in self._runs:
            session = Session(self.endpoints[endpoint])
            SCENARIOS[scenario](session)
            self._runs[scenario, endpoint] = session.steps
        return self._runs[scenario, endpoint]

    def found(self, scenario: str, bucket: str) -> list[Found]:
        """Every field that differs."""
        direct, proxied = self.steps(scenario, "direct"), self.steps(scenario, bucket)
        found = []
        for step in dict.fromkeys([*direct, *proxied]):
            one, other = direct.get(step, {}), proxied.get(step, {})
            if outcome(one) != outcome(other):
                # All else follows from this.
                one, other = outcome(one), outcome(other)
            for name in dict.fromkeys([*one, *other]):
                if one.get(name) != other.get(name):
                    where = f"{scenario} / {step}"
                    found.append(Found(where, name, one.get(name), other.get(name)))
        return found


def outcome(fields: Fields) -> Fields:
    """Whether the request succeeded, or how it failed."""
    return {name: fields[name] for name in _OUTCOME if name in fields}
