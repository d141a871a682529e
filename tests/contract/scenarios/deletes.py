"""DeleteObjects."""

from __future__ import annotations

from tests.contract.scenarios.bodies import SMALL
from tests.contract.session import Session, scenario

_NAMESPACE = ' xmlns="http://s3.amazonaws.com/doc/2006-03-01/"'


def _document(*keys: str, quiet: bool = False, namespace: str = _NAMESPACE) -> str:
    entries = "".join(f"<Object><Key>{key}</Key></Object>" for key in keys)
    mode = "<Quiet>true</Quiet>" if quiet else ""
    return f"<Delete{namespace}>{mode}{entries}</Delete>"


@scenario
def many_deleted_at_once(s: Session) -> None:
    s.make()
    for key in ("a", "b", "c d", "ünï", "e"):
        s.put(f"_put {key}", key, SMALL)
    query = {"delete": ""}
    s.xml("two", "POST", None, query, _document("a", "c d"))
    s.xml("one that is not there", "POST", None, query, _document("none"))
    s.xml("quietly", "POST", None, query, _document("b", quiet=True))
    s.xml("without a namespace", "POST", None, query, _document("ünï", namespace=""))
    s.get("left", query={"list-type": "2"})
    s.xml("none", "POST", None, query, _document())
    s.xml("too many", "POST", None, query, _document(*(f"k{n}" for n in range(1001))))
    s.xml("what is no XML", "POST", None, query, "<Delete><Object>")
    s.xml("what is not asked for", "POST", None, query, "<Odd/>")
    wrong = {"content-md5": "AAAAAAAAAAAAAAAAAAAAAA=="}
    s.xml("a wrong digest", "POST", None, query, _document("e"), wrong)
    s.ask("no digest", "POST", query=query, body=_document("e").encode())
    s.get("at the end", query={"list-type": "2"})


@scenario
def versions_deleted_at_once(s: Session) -> None:
    s.make()
    enabled = "<VersioningConfiguration><Status>Enabled</Status></VersioningConfiguration>"
    s.xml("_enable", "PUT", None, {"versioning": ""}, enabled)
    first = s.put("_put", "k", SMALL).headers.get("x-amz-version-id", "")
    s.put("_put again", "k", SMALL * 2)
    one = f"<Object><Key>k</Key><VersionId>{first}</VersionId></Object>"
    s.xml("a version", "POST", None, {"delete": ""}, f"<Delete{_NAMESPACE}>{one}</Delete>")
    s.xml("the newest", "POST", None, {"delete": ""}, _document("k"))
    s.get("left", query={"versions": ""})
