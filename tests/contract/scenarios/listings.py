"""Listings of objects: both versions, every parameter."""

from __future__ import annotations

from tests.contract.scenarios.bodies import LARGE, SMALL
from tests.contract.session import Session, element, scenario

_KEYS = ["a", "a b+c", "dir/1", "dir/2", "dir/sub/3", "other/4", "ünï/✓", "z"]
_PARAMETERS: list[dict[str, str]] = [
    {},
    {"prefix": "dir/"},
    {"prefix": "none"},
    {"delimiter": "/"},
    {"delimiter": "/", "prefix": "dir/"},
    {"delimiter": "sub"},
    {"delimiter": ""},
    {"encoding-type": "url"},
    {"encoding-type": "url", "delimiter": "/"},
    {"encoding-type": "odd"},
    {"max-keys": "0"},
    {"max-keys": "2"},
    {"max-keys": "3", "delimiter": "/"},
    {"max-keys": "1000"},
    {"max-keys": "5000"},
    {"max-keys": "-1"},
    {"max-keys": "x"},
]


def _fill(s: Session) -> None:
    s.make()
    for index, key in enumerate(_KEYS):
        s.put(f"_put {key}", key, LARGE if index == 2 else SMALL * index)


def _named(parameters: dict[str, str]) -> str:
    return " ".join(f"{name}={value}" for name, value in parameters.items()) or "all"


@scenario
def listings_of_the_first_version(s: Session) -> None:
    _fill(s)
    extra = [{"marker": "dir/2"}, {"marker": "dir/", "delimiter": "/"}, {"marker": "zz"}]
    for parameters in (*_PARAMETERS, *extra):
        s.get(_named(parameters), query=parameters)


@scenario
def listings_of_the_second_version(s: Session) -> None:
    _fill(s)
    extra = [{"start-after": "dir/2"}, {"start-after": "zz"}, {"fetch-owner": "true"}]
    extra += [{"start-after": "dir/", "delimiter": "/"}, {"continuation-token": "odd"}]
    for parameters in (*_PARAMETERS, *extra):
        s.get(_named(parameters), query={"list-type": "2", **parameters})
    s.get("list-type 3", query={"list-type": "3"})


@scenario
def pages(s: Session) -> None:
    _fill(s)
    for delimiter in ("", "/"):
        shared = {"max-keys": "2"} | ({"delimiter": delimiter} if delimiter else {})
        second, marker = "", ""
        for page in range(1, 5):
            token = {"continuation-token": second} if second else {}
            query = {"list-type": "2", **shared, **token}
            reply = s.get(f"second version{delimiter} page {page}", query=query)
            second = element(reply, "NextContinuationToken")
            query = {**shared, **({"marker": marker} if marker else {})}
            reply = s.get(f"first version{delimiter} page {page}", query=query)
            marker = element(reply, "NextMarker") or _last_key(reply.body)


def _last_key(body: bytes) -> str:
    return body.decode().rpartition("<Key>")[2].partition("</Key>")[0]


@scenario
def an_empty_bucket(s: Session) -> None:
    s.make()
    s.get("first version")
    s.get("second version", query={"list-type": "2"})
    s.get("versions", query={"versions": ""})
    s.get("uploads", query={"uploads": ""})
    s.ask("head", "HEAD")


@scenario
def listings_after_changes(s: Session) -> None:
    """The entry is that of the object as it is now."""
    s.make()
    s.put("_first", "k", SMALL)
    s.get("first", query={"list-type": "2"})
    s.put("_second", "k", LARGE)
    s.get("second", query={"list-type": "2"})
    s.delete("_gone", "k")
    s.get("gone", query={"list-type": "2"})
