"""Requests that succeed on one side only, or fail differently; part of the table of differences."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class Outcome:
    """See comparing.Difference; the fields are status and the error's code."""

    where: tuple[str, ...]
    reason: str
    stores: str = "seaweedfs minio"
    buckets: str = "plain encrypted"


_UNKNOWN = "Nothing unknown may store plaintext, so the proxy refuses what it does not know."
_VERIFIED = "Every checksum is verified; the store does not know this one."
_S3_CODE = "The proxy has S3's code and status; the store has its own."
_S3_READ = "The proxy reads the header as S3 and RFC 9110 do."
_KEYS = (
    "The store would take one key for another, or refuses it; the proxy refuses it by S3's code."
)
_SELECT = "Operations that can't work on ciphertext answer 501 for encrypted objects."

OUTCOMES: tuple[Outcome, ...] = (
    # -- everywhere --
    Outcome(
        (
            *("methods_that_there_are_none_of / PATCH", "other_sub_resources / an unknown POST"),
            *("parts_that_cannot_be / no number", "parts_that_cannot_be / no upload"),
        ),
        _UNKNOWN,
    ),
    Outcome(
        (
            *("checksums_in_headers / put wrong sha512", "checksums_in_headers / put wrong md5"),
            *("checksums_in_headers / put wrong xxhash*", "checksums_in_headers / unknown"),
            *("checksums_in_headers / announced only", "checksums_in_headers / nothing*"),
        ),
        _VERIFIED,
    ),
    Outcome(
        (
            *("checksums_in_headers / odd", "checksums_in_headers / two"),
            *("checksums_in_trailers / put wrong *", "parts_with_wrong_checksums / wrong trailer"),
            *("checksums_that_no_upload_has / create a type alone",),
            *("conditional_writes / none match an ETag", "conditional_deletes / match nothing"),
            *("parts_of_objects_without_parts / get 0", "parts_of_objects_without_parts / *et x"),
            *("parts_of_objects_without_parts / head x",),
            *("bodies_that_are_not_what_was_said / sha256 odd", "signed_wrongly / odd"),
            *("signed_wrongly / a date changed", "versions_copied_and_tagged / copy an odd one"),
            *("parts_that_cannot_be / number 0", "parts_that_cannot_be / number -1"),
            *("parts_that_cannot_be / number x",),
        ),
        _S3_CODE,
    ),
    Outcome(
        ("many_deleted_at_once / a wrong digest",), "Content-MD5 is verified; the store does not."
    ),
    Outcome(("keys_of_every_kind / * a//b", "keys_of_every_kind / * /lead"), _KEYS),
    Outcome(
        ("sub_resources_that_are_not_set / encryption",),
        "The bucket's default encryption is the proxy's.",
        buckets="encrypted",
    ),
    Outcome(
        ("other_sub_resources / nosuchthing", "other_sub_resources / restore"),
        _SELECT,
        buckets="encrypted",
    ),
    Outcome(("ranges / get bytes=5-3", "ranges / get bytes=5-3 *"), _S3_READ, buckets="encrypted"),
    Outcome(
        ("lists_that_do_not_fit / empty", "lists_that_do_not_fit / one twice"),
        _S3_CODE,
        buckets="encrypted",
    ),
    Outcome(("parts_with_wrong_checksums / none",), _S3_CODE, buckets="encrypted"),
    # -- SeaweedFS --
    Outcome(
        (
            *("parts_of_objects_without_parts / head 0", "signed_wrongly / head"),
            *("parts_of_objects_without_parts / get 10001",),
            *("parts_of_objects_without_parts / head 10001",),
            *("parts_of_objects_without_parts / part and range",),
            *("many_deleted_at_once / none", "many_deleted_at_once / too many"),
            *("many_deleted_at_once / what is not asked for",),
            *("parts_that_cannot_be / number 10001", "parts_copied / range *"),
        ),
        _S3_CODE,
        "seaweedfs",
    ),
    Outcome(
        (
            "bodies_that_are_not_what_was_said / sha256 of another",
            "bodies_that_are_not_what_was_said / nothing was written",
            "parts_that_cannot_be / wrong hash",
        ),
        "The hash of the payload is verified; the store does not.",
        "seaweedfs",
    ),
    Outcome(("conditional_reads / * an odd date",), _S3_READ, "seaweedfs"),
    Outcome(
        ("signed_in_every_way / get with an override v2*",),
        "The store refuses a right signature: it leaves out the parameter that SigV2 signs.",
        "seaweedfs",
    ),
    Outcome(("checksums_of_uploads / * wrong",), _S3_CODE, "seaweedfs", "encrypted"),
    Outcome(
        ("keys_of_every_kind / ??? folder/",),
        "The store keeps no data under a key that ends in `/`; the proxy says so.",
        "seaweedfs",
        "encrypted",
    ),
    Outcome(("ranges / head *", "ranges / get bytes=x-y*"), _S3_READ, "seaweedfs", "encrypted"),
    Outcome(("other_sub_resources / torrent",), _SELECT, "seaweedfs", "encrypted"),
    Outcome(
        ("an_upload / part 1", "an_upload / head of part 1"),
        "Parts are counted from 1 in the object; the store wants the number of the upload.",
        "seaweedfs",
        "encrypted",
    ),
    # -- MinIO --
    Outcome(
        (
            *("checksums_in_headers / put wrong crc*", "checksums_in_headers / put wrong sha?"),
            *("checksums_in_headers / put wrong sha256", "parts_with_wrong_checksums / wrong"),
            *("checksums_that_no_upload_has / create SHA256",),
            *("checksums_that_no_upload_has / create CRC*",),
            *("checksums_that_no_upload_has / create an odd type",),
        ),
        _S3_CODE,
        "minio",
    ),
    Outcome(
        (
            *("conditional_deletes / match other", "conditional_deletes / still there"),
            *("conditional_copies / destination absent", "conditional_copies / destination match"),
        ),
        "The store ignores the condition; the proxy does not.",
        "minio",
    ),
    Outcome(
        (
            *("parts_with_wrong_checksums / another", "lists_that_do_not_fit / an odd number"),
            *("lists_that_do_not_fit / no body", "ranges / get bytes=-4 of nothing"),
            *("ranges / get bytes=-9999999 of nothing",),
        ),
        _S3_CODE,
        "minio",
        "encrypted",
    ),
    Outcome(
        (
            *(
                "conditional_reads / * match one of two",
                "conditional_reads / * none match other and*",
            ),
            *("ranges / head bytes=5-3",),
        ),
        _S3_READ,
        "minio",
        "encrypted",
    ),
    Outcome(
        ("a_completion_repeated / twice",),
        "A repeated completion succeeds, as S3's does.",
        "minio",
        "encrypted",
    ),
    Outcome(
        ("copies_of_objects_made_of_parts / part",),
        "A copy keeps the parts of its source; the store's has none.",
        "minio",
        "encrypted",
    ),
)
