"""Every error a client can be answered with: code, status and default message, in one table.

Members are named as S3 and COS name the code, so that `Fault.NoSuchKey` reads as it appears on
the wire. COS-only codes (protocol.md 1.3) stand at the end.
"""

from __future__ import annotations

import re
from enum import Enum
from typing import TYPE_CHECKING

from lxml import etree

from sseproxy.errors import SseProxyError

if TYPE_CHECKING:
    from sseproxy.s3.request import Dialect

RETRY_AFTER_S = 2
# With double quotes: some clients look at the first bytes instead of parsing.
XML_DECLARATION = b'<?xml version="1.0" encoding="UTF-8"?>\n'
_NOT_XML = re.compile("[^\t\n\r\x20-\ud7ff\ue000-\ufffd\U00010000-\U0010ffff]")


class Fault(Enum):
    """One error: `.code` (its name on the wire), `.status` (HTTP), `.message` (default text)."""

    def __init__(self, code: str, status: int, message: str) -> None:
        self.code, self.status, self.message = code, status, message

    # who is asking
    AccessDenied = ("AccessDenied", 403, "Access Denied")
    AuthorizationHeaderMalformed = (
        "AuthorizationHeaderMalformed",
        400,
        "The authorization header is malformed.",
    )
    AuthorizationQueryParametersError = (
        "AuthorizationQueryParametersError",
        400,
        "The authorization query parameters are malformed.",
    )
    ExpiredToken = ("ExpiredToken", 400, "The provided token has expired.")
    InvalidAccessKeyId = (
        "InvalidAccessKeyId",
        403,
        "The access key ID you provided does not exist in our records.",
    )
    InvalidToken = ("InvalidToken", 400, "The provided token is malformed or otherwise invalid.")
    MissingSecurityHeader = (
        "MissingSecurityHeader",
        400,
        "Your request is missing a required header.",
    )
    RequestExpired = ("AccessDenied", 403, "Request has expired")
    RequestTimeTooSkewed = (
        "RequestTimeTooSkewed",
        403,
        "The difference between the request time and the server's time is too large.",
    )
    SignatureDoesNotMatch = (
        "SignatureDoesNotMatch",
        403,
        "The request signature we calculated does not match the signature you provided. "
        "Check your key and signing method.",
    )
    UnsupportedSignature = (
        "InvalidRequest",
        400,
        "The authorization mechanism you have provided is not supported.",
    )

    # the body
    BadDigest = (
        "BadDigest",
        400,
        "The Content-MD5 or checksum value that you specified did not match what the server "
        "received.",
    )
    EntityTooLarge = (
        "EntityTooLarge",
        400,
        "Your proposed upload exceeds the maximum allowed size.",
    )
    EntityTooSmall = (
        "EntityTooSmall",
        400,
        "Your proposed upload is smaller than the minimum allowed size.",
    )
    IncompleteBody = (
        "IncompleteBody",
        400,
        "You did not provide the number of bytes specified by the Content-Length HTTP header.",
    )
    InvalidChunkSizeError = (
        "InvalidChunkSizeError",
        403,
        "Only the last chunk is allowed to have a size less than 8192 bytes.",
    )
    InvalidDigest = (
        "InvalidDigest",
        400,
        "The Content-MD5 or checksum value that you specified is not valid.",
    )
    MalformedPolicy = (
        "MalformedPolicy",
        400,
        "Policies must be valid JSON and the first byte must be '{'",
    )
    MalformedPOSTRequest = (
        "MalformedPOSTRequest",
        400,
        "The body of your POST request is not well-formed multipart/form-data.",
    )
    MalformedTrailerError = (
        "MalformedTrailerError",
        400,
        "The request contained trailing data that was not well-formed or did not conform to our "
        "published schema.",
    )
    MalformedXML = (
        "MalformedXML",
        400,
        "The XML you provided was not well-formed or did not validate against our published "
        "schema.",
    )
    MaxMessageLengthExceeded = ("MaxMessageLengthExceeded", 400, "Your request was too big.")
    MaxPostPreDataLengthExceededError = (
        "MaxPostPreDataLengthExceededError",
        400,
        "Your POST request fields preceding the upload file were too large.",
    )
    MissingContentLength = (
        "MissingContentLength",
        411,
        "You must provide the Content-Length HTTP header.",
    )
    MissingRequestBodyError = ("MissingRequestBodyError", 400, "Request body is empty.")
    RequestTimeout = (
        "RequestTimeout",
        400,
        "Your socket connection to the server was not read from or written to within the timeout "
        "period.",
    )
    XAmzContentSHA256Mismatch = (
        "XAmzContentSHA256Mismatch",
        400,
        "The provided 'x-amz-content-sha256' header does not match what was computed.",
    )

    # the request
    BadRequest = ("BadRequest", 400, "The request could not be understood.")
    InvalidArgument = ("InvalidArgument", 400, "Invalid Argument")
    InvalidBucketName = ("InvalidBucketName", 400, "The specified bucket is not valid.")
    InvalidEncryptionAlgorithmError = (
        "InvalidEncryptionAlgorithmError",
        400,
        "The encryption request that you specified is not valid. The valid value is AES256.",
    )
    InvalidPart = (
        "InvalidPart",
        400,
        "One or more of the specified parts could not be found.",
    )
    InvalidPartNumber = (
        "InvalidPartNumber",
        416,
        "The requested partnumber is not satisfiable",
    )
    InvalidPartOrder = (
        "InvalidPartOrder",
        400,
        "The list of parts was not in ascending order.",
    )
    InvalidPolicyDocument = (
        "InvalidPolicyDocument",
        400,
        "The content of the form does not meet the conditions specified in the policy document.",
    )
    InvalidRange = ("InvalidRange", 416, "The requested range is not satisfiable")
    InvalidRequest = ("InvalidRequest", 400, "Invalid Request")
    InvalidTag = ("InvalidTag", 400, "The tag provided was not a valid tag.")
    InvalidURI = ("InvalidURI", 400, "Couldn't parse the specified URI.")
    KeyTooLongError = ("KeyTooLongError", 400, "Your key is too long.")
    MetadataTooLarge = (
        "MetadataTooLarge",
        400,
        "Your metadata headers exceed the maximum allowed metadata size.",
    )
    MethodNotAllowed = (
        "MethodNotAllowed",
        405,
        "The specified method is not allowed against this resource.",
    )
    RequestHeaderSectionTooLarge = (
        "RequestHeaderSectionTooLarge",
        400,
        "Your request header section exceeds the maximum allowed size.",
    )

    # the resource
    BucketAlreadyExists = (
        "BucketAlreadyExists",
        409,
        "The requested bucket name is not available.",
    )
    ConditionalRequestConflict = (
        "ConditionalRequestConflict",
        409,
        "A conflicting operation is being performed on this resource. Please try again.",
    )
    InvalidObjectState = (
        "InvalidObjectState",
        403,
        "The operation is not valid for the object's storage class or state.",
    )
    NoSuchBucket = ("NoSuchBucket", 404, "The specified bucket does not exist")
    NoSuchKey = ("NoSuchKey", 404, "The specified key does not exist.")
    NoSuchUpload = (
        "NoSuchUpload",
        404,
        "The specified multipart upload does not exist. The upload ID may be invalid, or the "
        "upload may have been aborted or completed.",
    )
    NoSuchVersion = ("NoSuchVersion", 404, "The specified version does not exist.")
    OperationAborted = (
        "OperationAborted",
        409,
        "A conflicting conditional operation is currently in progress against this resource. "
        "Please try again.",
    )
    PreconditionFailed = (
        "PreconditionFailed",
        412,
        "At least one of the pre-conditions you specified did not hold",
    )
    ServerSideEncryptionConfigurationNotFoundError = (
        "ServerSideEncryptionConfigurationNotFoundError",
        404,
        "The server side encryption configuration was not found",
    )

    # keys of a KMS
    KMSDisabledException = ("KMS.DisabledException", 400, "The KMS key is disabled.")
    KMSInvalidStateException = (
        "KMS.KMSInvalidStateException",
        400,
        "The state of the KMS key does not allow this operation.",
    )
    KMSNotFoundException = ("KMS.NotFoundException", 400, "The KMS key does not exist.")

    # this side
    InternalError = (
        "InternalError",
        500,
        "We encountered an internal error. Please try again.",
    )
    NotImplemented = (
        "NotImplemented",
        501,
        "A header or operation you provided implies functionality that is not implemented",
    )
    ServiceUnavailable = (
        "ServiceUnavailable",
        503,
        "Service is unable to handle request. Please try again.",
    )
    SlowDown = ("SlowDown", 503, "Please reduce your request rate.")

    # COS only
    AppendPositionErr = (
        "AppendPositionErr",
        409,
        "The position does not equal the length of the object.",
    )
    KmsException = ("KmsException", 400, "The KMS refused the request.")
    KmsFreqControl = ("KmsFreqControl", 503, "The KMS request rate is exceeded.")
    KmsInternalException = ("KmsInternalException", 500, "The KMS failed.")
    KmsKeyDisabled = ("KmsKeyDisabled", 400, "The KMS key is disabled.")
    KmsKeyNotExist = ("KmsKeyNotExist", 400, "The KMS key does not exist.")
    NoSuchEncryptionConfiguration = (
        "NoSuchEncryptionConfiguration",
        404,
        "The encryption configuration does not exist.",
    )
    SSEContentNotSupported = (
        "SSEContentNotSupported",
        400,
        "The server-side encryption method is not supported.",
    )
    SSEHeaderNotAllowed = (
        "SSEHeaderNotAllowed",
        400,
        "This operation does not take the server-side encryption header.",
    )
    SsecDecryptHeaderInvalid = (
        "SsecDecryptHeaderInvalid",
        400,
        "The object is encrypted with a customer key; the same key must be supplied.",
    )


class S3Error(SseProxyError):
    """An answer to the client, by S3's name.

    message: the default of the fault if None; never a secret. fields: further XML elements in
    the order given (ArgumentName="..."). headers: to be sent with the answer, lower-case;
    a 503 has retry-after (seconds).
    """

    def __init__(self, fault: Fault, message: str | None = None, **fields: str) -> None:
        self.fault = fault
        self.message = fault.message if message is None else message
        self.fields = fields
        self.headers: dict[str, str] = (
            {"retry-after": str(RETRY_AFTER_S)} if fault.status == 503 else {}
        )
        super().__init__(f"{fault.code}: {self.message}")

    @property
    def code(self) -> str:
        """The code on the wire."""
        return self.fault.code

    @property
    def status(self) -> int:
        """The HTTP status."""
        return self.fault.status


def error_xml(
    error: S3Error,
    *,
    resource: str,
    request_id: str,
    host_id: str = "",
    dialect: Dialect | None = None,
) -> bytes:
    """The body of an error answer (protocol.md 1.3): the COS SDK needs its first and last four.

    resource: the path asked for. host_id: HostId, in the COS dialect TraceId. dialect: S3's
    if None. Characters that XML can't carry become U+FFFD.
    """
    root = etree.Element("Error")
    trace = "TraceId" if dialect is not None and dialect.value == "cos" else "HostId"
    elements = {
        "Code": error.code,
        "Message": error.message,
        **error.fields,
        "Resource": resource,
        "RequestId": request_id,
        trace: host_id,
    }
    for name, text in elements.items():
        etree.SubElement(root, name).text = xml_text(text)
    return XML_DECLARATION + etree.tostring(root, encoding="UTF-8")


def xml_text(text: str) -> str:
    """Text as XML 1.0 can carry it: other characters become U+FFFD."""
    return _NOT_XML.sub("\ufffd", text)
