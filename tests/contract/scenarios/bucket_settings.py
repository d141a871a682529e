"""Sub-resources of buckets: what they answer when unset, set, and removed."""

from __future__ import annotations

import json

from tests.contract.session import Session, scenario

_UNSET = ["accelerate", "acl", "analytics", "cors", "encryption", "intelligent-tiering"]
_UNSET += ["inventory", "lifecycle", "location", "logging", "metrics", "notification"]
_UNSET += ["object-lock", "ownershipControls", "policy", "policyStatus", "publicAccessBlock"]
_UNSET += ["replication", "requestPayment", "tagging", "versioning", "website", "nosuchthing"]

_CORS = (
    "<CORSConfiguration><CORSRule><AllowedOrigin>https://a.example</AllowedOrigin>"
    "<AllowedMethod>GET</AllowedMethod><AllowedHeader>*</AllowedHeader>"
    "<ExposeHeader>ETag</ExposeHeader><MaxAgeSeconds>60</MaxAgeSeconds></CORSRule>"
    "</CORSConfiguration>"
)
_LIFECYCLE = (
    "<LifecycleConfiguration><Rule><ID>r</ID><Status>Enabled</Status><Filter><Prefix>tmp/"
    "</Prefix></Filter><Expiration><Days>7</Days></Expiration></Rule></LifecycleConfiguration>"
)
_TAGS = "<Tagging><TagSet><Tag><Key>a</Key><Value>b c</Value></Tag></TagSet></Tagging>"
_VERSIONING = "<VersioningConfiguration><Status>{}</Status></VersioningConfiguration>"
_WEBSITE = (
    "<WebsiteConfiguration><IndexDocument><Suffix>index.html</Suffix></IndexDocument>"
    "</WebsiteConfiguration>"
)
_NOTIFICATION = "<NotificationConfiguration/>"
_OWNERSHIP = (
    "<OwnershipControls><Rule><ObjectOwnership>BucketOwnerEnforced</ObjectOwnership></Rule>"
    "</OwnershipControls>"
)
_PUBLIC = (
    "<PublicAccessBlockConfiguration><BlockPublicAcls>true</BlockPublicAcls>"
    "<IgnorePublicAcls>true</IgnorePublicAcls><BlockPublicPolicy>true</BlockPublicPolicy>"
    "<RestrictPublicBuckets>true</RestrictPublicBuckets></PublicAccessBlockConfiguration>"
)


@scenario
def sub_resources_that_are_not_set(s: Session) -> None:
    s.make()
    for name in _UNSET:
        s.get(name, query={name: ""})


@scenario
def sub_resources_of_no_bucket(s: Session) -> None:
    for name in ("acl", "cors", "lifecycle", "policy", "tagging", "uploads", "versioning"):
        s.get(name, query={name: ""})


def _set_and_remove(s: Session, name: str, document: str) -> None:
    s.make()
    s.xml("put", "PUT", None, {name: ""}, document)
    s.get("get", query={name: ""})
    s.delete("delete", query={name: ""})
    s.get("get after", query={name: ""})
    s.xml("put what is no XML", "PUT", None, {name: ""}, document[:-3])


@scenario
def bucket_cors(s: Session) -> None:
    _set_and_remove(s, "cors", _CORS)


@scenario
def bucket_lifecycle(s: Session) -> None:
    _set_and_remove(s, "lifecycle", _LIFECYCLE)


@scenario
def bucket_tagging(s: Session) -> None:
    _set_and_remove(s, "tagging", _TAGS)


@scenario
def bucket_website(s: Session) -> None:
    _set_and_remove(s, "website", _WEBSITE)


@scenario
def bucket_ownership(s: Session) -> None:
    _set_and_remove(s, "ownershipControls", _OWNERSHIP)


@scenario
def bucket_public_access(s: Session) -> None:
    _set_and_remove(s, "publicAccessBlock", _PUBLIC)


@scenario
def bucket_notification(s: Session) -> None:
    s.make()
    s.xml("put", "PUT", None, {"notification": ""}, _NOTIFICATION)
    s.get("get", query={"notification": ""})


@scenario
def bucket_versioning(s: Session) -> None:
    s.make()
    for status in ("Enabled", "Suspended", "Odd"):
        s.xml(f"put {status}", "PUT", None, {"versioning": ""}, _VERSIONING.format(status))
        s.get(f"get {status}", query={"versioning": ""})


@scenario
def bucket_acl(s: Session) -> None:
    s.make()
    s.get("get", query={"acl": ""})
    s.ask("put canned", "PUT", query={"acl": ""}, headers={"x-amz-acl": "private"})
    s.ask("put an odd one", "PUT", query={"acl": ""}, headers={"x-amz-acl": "odd"})


@scenario
def bucket_policy(s: Session) -> None:
    s.make()
    statement = {
        "Effect": "Allow",
        "Principal": {"AWS": ["*"]},
        "Action": ["s3:GetObject"],
        "Resource": [f"arn:aws:s3:::{s.bucket}/open/*"],
    }
    policy = json.dumps({"Version": "2012-10-17", "Statement": [statement]})
    s.ask("put", "PUT", query={"policy": ""}, body=policy.encode())
    s.get("get", query={"policy": ""})
    s.get("status", query={"policyStatus": ""})
    s.delete("delete", query={"policy": ""})
    s.get("get after", query={"policy": ""})
    s.ask("put what is no JSON", "PUT", query={"policy": ""}, body=policy[:-2].encode())


@scenario
def cross_origin_requests(s: Session) -> None:
    s.make()
    s.xml("_put", "PUT", None, {"cors": ""}, _CORS)
    s.put("_object", "k", b"x")
    for origin in ("https://a.example", "https://b.example"):
        for method in ("GET", "PUT"):
            asked = {"origin": origin, "access-control-request-method": method}
            s.ask(f"pre-flight {origin} {method}", "OPTIONS", "k", headers=asked)
        s.get(f"get from {origin}", "k", headers={"origin": origin})
