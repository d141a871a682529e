"""Which signature a request carries, in header or query: SigV4, SigV2, or none (protocol.md 3.2).

Whatever looks like a signature but is not a well-formed one of these is an error, and never taken
for an anonymous request. `sigv4` and `sigv2` verify the claim.
"""

from __future__ import annotations

from collections.abc import Collection

from sseproxy.s3 import sigv2, sigv4_claim
from sseproxy.s3.faults import Fault, S3Error
from sseproxy.s3.request import RequestHead
from sseproxy.s3.sigv2 import SigV2Claim
from sseproxy.s3.sigv4_claim import SigV4Claim

_V4_NAMES = {"x-amz-algorithm", "x-amz-credential", "x-amz-signature", "x-amz-signedheaders"}
_V2_NAMES = {"awsaccesskeyid", "signature"}
_COS_NAMES = {"q-sign-algorithm", "q-ak", "q-signature"}
_SIGNING_NAMES = _V4_NAMES | _V2_NAMES | _COS_NAMES
_OTHER_SCHEMES = ("AWS", "q-sign-algorithm=")


def parse_claim(head: RequestHead) -> SigV4Claim | SigV2Claim | None:
    """The claim of a request, None if it is anonymous (an empty Authorization is: protocol.md 2.1).

    Raises S3Error: InvalidArgument (two mechanisms at once, a malformed V2 header or an unknown
    scheme), UnsupportedSignature, and what `sigv4_claim` and `sigv2` raise.
    """
    authorization = head.headers.get("authorization", "")
    in_query = {name.lower() for name in head.query} & _SIGNING_NAMES if head.query else ()
    if authorization and in_query:
        raise S3Error(
            Fault.InvalidArgument,
            "Only one auth mechanism is allowed: query parameters or the Authorization header.",
            ArgumentName="Authorization",
        )
    if authorization:
        return _from_header(head, authorization)
    return _from_query(head, in_query) if in_query else None


def _from_header(head: RequestHead, authorization: str) -> SigV4Claim | SigV2Claim:
    scheme, _, rest = authorization.partition(" ")
    if scheme == sigv4_claim.ALGORITHM:
        return sigv4_claim.from_header(head.headers, rest)
    if scheme == "AWS":
        return sigv2.from_header(head, rest)
    if scheme.startswith(_OTHER_SCHEMES):
        raise S3Error(Fault.UnsupportedSignature)
    raise S3Error(
        Fault.InvalidArgument, "Unsupported Authorization Type", ArgumentName="Authorization"
    )


def _from_query(head: RequestHead, names: Collection[str]) -> SigV4Claim | SigV2Claim:
    if not _COS_NAMES.isdisjoint(names):
        raise S3Error(Fault.UnsupportedSignature)
    if _V2_NAMES.isdisjoint(names):
        return sigv4_claim.from_query(head)
    if _V4_NAMES.isdisjoint(names):
        return sigv2.from_query(head)
    raise S3Error(
        Fault.InvalidArgument,
        "Only one auth mechanism is allowed: Signature Version 4 or Version 2.",
        ArgumentName="Signature",
    )
