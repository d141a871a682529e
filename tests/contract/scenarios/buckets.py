"""Buckets: made, asked for, removed, and named wrongly."""

from __future__ import annotations

from tests.contract.session import Session, scenario


@scenario
def a_bucket_comes_and_goes(s: Session) -> None:
    s.head("head before", bucket=s.other)
    s.get("list before", bucket=s.other)
    s.ask("make", "PUT", bucket=s.other)
    s.ask("make again", "PUT", bucket=s.other)
    s.head("head", bucket=s.other)
    s.get("location", bucket=s.other, query={"location": ""})
    s.put("_object", "k", b"x", bucket=s.other)
    s.delete("delete while full", bucket=s.other)
    s.delete("_empty it", "k", bucket=s.other)
    s.delete("delete", bucket=s.other)
    s.delete("delete again", bucket=s.other)
    s.get("object after", "k", bucket=s.other)
    s.head("object's head after", "k", bucket=s.other)
    s.delete("delete an object after", "k", bucket=s.other)


@scenario
def a_bucket_with_a_location(s: Session) -> None:
    body = (
        '<CreateBucketConfiguration xmlns="http://s3.amazonaws.com/doc/2006-03-01/">'
        "<LocationConstraint>us-east-1</LocationConstraint></CreateBucketConfiguration>"
    )
    s.ask("make", "PUT", bucket=s.other, body=body.encode())
    s.ask("make from what is no XML", "PUT", bucket=s.other + "x", body=b"<Create")


@scenario
def names_that_no_bucket_may_have(s: Session) -> None:
    for name in ("ab", "UPPER-case", "under_score", "192.168.0.1", "a" * 64, "dots..twice"):
        s.ask(f"make {name[:20]}", "PUT", bucket=name)


@scenario
def methods_that_there_are_none_of(s: Session) -> None:
    s.make()
    s.ask("POST on a bucket", "POST", query={"nothing": ""})
    s.ask("PATCH", "PATCH", "k")
