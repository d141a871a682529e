"""Signatures of every kind, and those that are wrong."""

from __future__ import annotations

from dataclasses import replace

from tests.contract.client import Signing
from tests.contract.scenarios.bodies import SMALL
from tests.contract.session import Session, scenario


@scenario
def signed_in_every_way(s: Session) -> None:
    s.make()
    for signing in (Signing.V4, Signing.V4_QUERY, Signing.V2, Signing.V2_QUERY):
        key = signing.value
        s.put(f"put {key}", key, SMALL, signing=signing)
        s.get(f"get {key}", key, signing=signing)
        s.head(f"head {key}", key, signing=signing)
        query = {"response-content-type": "text/x-other"}
        s.get(f"get with an override {key}", key, signing=signing, query=query)
    s.get("a range", "v4", signing=Signing.V4_QUERY, headers={"range": "bytes=1-3"})


@scenario
def without_a_signature(s: Session) -> None:
    s.make()
    s.put("_put", "k", SMALL)
    for method, key in (("GET", "k"), ("HEAD", "k"), ("PUT", "k"), ("DELETE", "k"), ("GET", None)):
        s.ask(f"{method} {key}", method, key, signing=Signing.NONE)


@scenario
def signed_wrongly(s: Session) -> None:
    s.make()
    s.put("_put", "k", SMALL)
    right = s.endpoint
    for signing in (Signing.V4, Signing.V4_QUERY, Signing.V2):
        s.endpoint = replace(right, secret_key="wrong")
        s.get(f"secret {signing.value}", "k", signing=signing)
        s.endpoint = replace(right, access_key="AKIAUNKNOWN000000000")
        s.get(f"key {signing.value}", "k", signing=signing)
    s.endpoint = right
    s.get("expired", "k", signing=Signing.V4_QUERY, skew_s=-301)
    s.get("too early", "k", signing=Signing.V4, skew_s=1000)
    s.get("too late", "k", signing=Signing.V4, skew_s=-1000)
    s.get("for too long", "k", signing=Signing.V4_QUERY, expires_s=604_801)
    s.get("a date changed", "k", tamper={"x-amz-date": "20000101T000000Z"})
    s.get("odd", "k", signing=Signing.NONE, headers={"authorization": "odd"})
    s.head("head", "k", signing=Signing.NONE, headers={"authorization": "odd"})
