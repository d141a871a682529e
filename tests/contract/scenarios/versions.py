"""Versions: written, listed, read, deleted."""

from __future__ import annotations

from tests.contract.scenarios.bodies import LARGE, SMALL
from tests.contract.session import Session, scenario

_ENABLED = "<VersioningConfiguration><Status>Enabled</Status></VersioningConfiguration>"
_SUSPENDED = "<VersioningConfiguration><Status>Suspended</Status></VersioningConfiguration>"


def _enable(s: Session) -> None:
    s.make()
    s.xml("_enable", "PUT", None, {"versioning": ""}, _ENABLED)


@scenario
def versions_of_an_object(s: Session) -> None:
    _enable(s)
    first = s.put("put", "k", SMALL).headers.get("x-amz-version-id", "")
    s.put("put again", "k", LARGE)
    s.head("head", "k")
    s.get("get", "k")
    s.get("get the first", "k", query={"versionId": first})
    s.head("head of the first", "k", query={"versionId": first})
    s.get("range of the first", "k", query={"versionId": first}, headers={"range": "bytes=1-3"})
    s.get("listed", query={"versions": ""})
    marker = s.delete("delete", "k").headers.get("x-amz-version-id", "")
    s.get("get after", "k")
    s.head("head after", "k")
    s.get("get the marker", "k", query={"versionId": marker})
    s.get("listed after", query={"versions": ""})
    s.get("first version listed after", query={})
    s.delete("delete the marker", "k", query={"versionId": marker})
    s.get("get again", "k")
    s.delete("delete the first", "k", query={"versionId": first})
    s.get("get the first after", "k", query={"versionId": first})
    s.get("an odd version", "k", query={"versionId": "odd"})


@scenario
def listings_of_versions(s: Session) -> None:
    _enable(s)
    for key in ("a", "dir/1", "dir/2", "z b"):
        for index in range(2):
            s.put(f"_put {key} {index}", key, SMALL * (index + 1))
    s.delete("_delete", "a")
    for name, query in {
        "all": {},
        "prefix": {"prefix": "dir/"},
        "delimiter": {"delimiter": "/"},
        "encoded": {"encoding-type": "url"},
        "a page": {"max-keys": "3"},
        "none": {"max-keys": "0"},
        "after": {"key-marker": "dir/1"},
        "after an odd version": {"key-marker": "dir/1", "version-id-marker": "odd"},
        "a version of no key": {"version-id-marker": "odd"},
    }.items():
        s.get(name, query={"versions": "", **query})


@scenario
def versions_without_versioning(s: Session) -> None:
    s.make()
    s.put("_put", "k", SMALL)
    s.get("listed", query={"versions": ""})
    s.get("get null", "k", query={"versionId": "null"})
    s.delete("delete null", "k", query={"versionId": "null"})
    s.get("gone", "k")


@scenario
def versions_once_suspended(s: Session) -> None:
    _enable(s)
    s.put("_first", "k", SMALL)
    s.xml("_suspend", "PUT", None, {"versioning": ""}, _SUSPENDED)
    s.put("put", "k", SMALL * 2)
    s.put("put again", "k", SMALL * 3)
    s.get("listed", query={"versions": ""})
    s.get("get null", "k", query={"versionId": "null"})
    s.delete("delete", "k")
    s.get("listed after", query={"versions": ""})


@scenario
def versions_copied_and_tagged(s: Session) -> None:
    _enable(s)
    first = s.put("_first", "k", SMALL).headers.get("x-amz-version-id", "")
    s.put("_second", "k", LARGE)
    source = {"x-amz-copy-source": f"/{s.bucket}/k?versionId={first}"}
    s.put("copy the first", "copy", headers=source)
    s.get("get the copy", "copy")
    odd = {"x-amz-copy-source": f"/{s.bucket}/k?versionId=odd"}
    s.put("copy an odd one", "copy", headers=odd)
    tags = "<Tagging><TagSet><Tag><Key>a</Key><Value>1</Value></Tag></TagSet></Tagging>"
    s.xml("tag the first", "PUT", "k", {"tagging": "", "versionId": first}, tags)
    s.get("its tags", "k", query={"tagging": "", "versionId": first})
    s.get("tags of the second", "k", query={"tagging": ""})
