"""Object lock: its configuration, legal holds and retention."""

from __future__ import annotations

from tests.contract.scenarios.bodies import SMALL
from tests.contract.session import Session, md5_base64, scenario

_LOCKED = {"x-amz-bucket-object-lock-enabled": "true"}
_HOLD = "<LegalHold><Status>{}</Status></LegalHold>"
_UNTIL = "2094-01-01T00:00:00Z"
_RETENTION = (
    f"<Retention><Mode>GOVERNANCE</Mode><RetainUntilDate>{_UNTIL}</RetainUntilDate></Retention>"
)
_RULE = (
    "<ObjectLockConfiguration><ObjectLockEnabled>Enabled</ObjectLockEnabled><Rule>"
    "<DefaultRetention><Mode>GOVERNANCE</Mode><Days>1</Days></DefaultRetention></Rule>"
    "</ObjectLockConfiguration>"
)


@scenario
def legal_holds(s: Session) -> None:
    s.make(headers=_LOCKED)
    first = s.put("put", "k", SMALL).headers.get("x-amz-version-id", "")
    s.get("get unset", "k", query={"legal-hold": ""})
    s.xml("set", "PUT", "k", {"legal-hold": ""}, _HOLD.format("ON"))
    s.get("get", "k", query={"legal-hold": ""})
    s.head("head", "k")
    s.delete("delete while held", "k", query={"versionId": first})
    s.xml("lift", "PUT", "k", {"legal-hold": ""}, _HOLD.format("OFF"))
    s.delete("delete", "k", query={"versionId": first})
    held = {"x-amz-object-lock-legal-hold": "ON", "content-md5": md5_base64(SMALL)}
    s.put("put held", "l", SMALL, headers=held)
    s.head("head of held", "l")


@scenario
def retention(s: Session) -> None:
    s.make(headers=_LOCKED)
    first = s.put("_put", "k", SMALL).headers.get("x-amz-version-id", "")
    s.get("get unset", "k", query={"retention": ""})
    s.xml("set", "PUT", "k", {"retention": ""}, _RETENTION)
    s.get("get", "k", query={"retention": ""})
    s.head("head", "k")
    s.delete("delete while kept", "k", query={"versionId": first})
    bypass = {"x-amz-bypass-governance-retention": "true"}
    s.delete("delete with bypass", "k", query={"versionId": first}, headers=bypass)
    headers = {
        "x-amz-object-lock-mode": "GOVERNANCE",
        "x-amz-object-lock-retain-until-date": _UNTIL,
        "content-md5": md5_base64(SMALL),
    }
    s.put("put kept", "l", SMALL, headers=headers)
    s.head("head of kept", "l")


@scenario
def default_retention(s: Session) -> None:
    s.make(headers=_LOCKED)
    s.get("get unset", query={"object-lock": ""})
    s.xml("set", "PUT", None, {"object-lock": ""}, _RULE)
    s.get("get", query={"object-lock": ""})
    s.make(s.other)
    s.xml("set without lock", "PUT", None, {"object-lock": ""}, _RULE, bucket=s.other)
    held = {"x-amz-object-lock-legal-hold": "ON", "content-md5": md5_base64(SMALL)}
    s.put("hold without lock", "k", SMALL, headers=held, bucket=s.other)
