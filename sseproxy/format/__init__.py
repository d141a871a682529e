"""Object format v1: what sseproxy stores, as bytes in and bytes out (docs/format.md).

    names       lp(), HKDF, the name an envelope is bound to, names of multipart records
    b64url      base64url in its one form
    once        AES-GCM under a key that is used once
    header      the 64 bytes before the segments, and the key of the segments
    layout      plain and sealed sizes, ranges as windows of segments
    segments    PartSealer and PartOpener: the data itself
    attributes  what is sealed about an object: sizes, ETag, checksums
    envelope    the object's metadata entry: wrapped data key, sealed attributes
    trailer     attributes known only when the body has been read
    record      sealed records of the system bucket
    upload      ... of a multipart upload: what was decided when it was created
    part_record ... of an uploaded part, as the name of an empty object
    manifest    ... of a multipart object: its parts, and where their bytes lie
    derive      what is derived for SSE-C, and ETags that are no digest

Nothing here does I/O, knows S3, or decides which key to use. Bytes that were stored and are
not what the format allows raise `FormatError` or one of its subclasses; a caller that breaks
the contract of a function raises `ValueError`.
"""
