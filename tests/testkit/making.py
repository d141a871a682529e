"""Objects for the vectors, whole or wrong in one place. All randomness is drawn from labels."""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace

from tests.testkit import kit
from tests.testkit.vector import Vector, vector

Items = list[tuple[int, bytes]]
BUCKET, KEY = "photos", "2024/cat.jpg"


def draw(*label: object, count: int = 16) -> bytes:
    """Bytes that depend on the label only, so that a new vector leaves the others alone."""
    return hashlib.shake_256("/".join(map(str, label)).encode()).digest(count)


KEYRING_ID = draw("keyring")
AKS = {version: draw("ak", version, count=32) for version in (1, 2)}
MASTERS = {version: draw("master", version, count=32) for version in (1, 7)}
ETAG_KEY = draw("etag-key", count=32)
KMS_KEY_ID = b"arn:aws:kms:eu-west-1:111122223333:key/0f9e"


@dataclass(frozen=True)
class Recipe:
    """What to write. The fields after `etag` make it wrong; None leaves it as it has to be.

    multipart: the envelope is that of a multipart object; its stored bytes are not made.
    """

    label: str
    mode: int = 1
    size: int = 1000
    multipart: bool = False
    bucket: str = BUCKET
    key: str = KEY
    ak: int = 1
    data_ak: int = 1
    master: int = 7
    kms_blob_bytes: int = 184
    checksums: tuple[tuple[int, bytes], ...] = ()
    extra: tuple[tuple[int, bytes], ...] = ()
    etag: bytes | None = None
    envelope: Callable[[kit.Envelope], kit.Envelope] | None = None
    attributes: Callable[[Items], Items] | None = None
    encoded: Callable[[bytes], bytes] | None = None
    trailer: Callable[[Items], Items] | None = None
    padded: Callable[[bytes], bytes] | None = None
    trailer_ak: int | None = None
    header: Callable[[bytes], bytes] | None = None
    nonces: Sequence[tuple[int, bool]] | None = None
    wrapped: bytes | None = None
    committed: bytes | None = None


@dataclass(frozen=True)
class Made:
    """A sealed object and everything that was drawn for it."""

    recipe: Recipe
    env: kit.Envelope
    blob: bytes
    plain: bytes
    dek: bytes
    upper: bytes
    customer: bytes
    attributes: dict[int, bytes]


def mirror(key: bytes, size: int, nonces: Sequence[tuple[int, bool]]) -> bytes:
    """A plaintext whose ciphertext is one byte repeated in each segment.

    Such a blob deflates to next to nothing, whatever its size, and is as hard to open as any.
    """
    plain = b""
    for i, (index, final) in enumerate(nonces):
        length = min(kit.SEGMENT, size - i * kit.SEGMENT)
        keystream = kit.seal(key, kit.nonce(index, final), bytes(length))[:length]
        plain += bytes(byte ^ (i * 29 + 7) % 256 for byte in keystream)
    return plain


def part(recipe: Recipe, dek: bytes, data_id: bytes, header: bytes) -> tuple[list[bytes], bytes]:
    """The segments of a part and their plaintext: mirrored if large, plainly random if small."""
    key = kit.part_key(dek, data_id, header)
    last = kit.segments(recipe.size) - 1
    nonces = recipe.nonces or [(i, i == last) for i in range(last + 1)]
    if recipe.size > 1000:
        plain = mirror(key, recipe.size, nonces)
    else:
        plain = draw(recipe.label, "plain", count=recipe.size)
    pieces = [plain[i * kit.SEGMENT : (i + 1) * kit.SEGMENT] for i in range(len(nonces))]
    sealed = [
        kit.seal(key, kit.nonce(*pair), piece) for pair, piece in zip(nonces, pieces, strict=True)
    ]
    return sealed, plain


def upper_key(recipe: Recipe, customer: bytes) -> tuple[bytes, bytes, bytes]:
    """Upper key, its id, and the KMS blob."""
    if recipe.mode == 1:
        return MASTERS[recipe.master], kit.u32(recipe.master), b""
    if recipe.mode == 2:
        blob = draw(recipe.label, "kms", count=recipe.kms_blob_bytes)
        return draw(recipe.label, "upper", count=32), hashlib.sha256(blob).digest(), blob
    if recipe.mode == 3:
        wk_id = draw("scope") + kit.u32(20_500) + draw(recipe.label, "wk")
        return draw(recipe.label, "upper", count=32), wk_id, b""
    return kit.customer_upper_key(customer, AKS[recipe.ak]), b"", b""


def attributes_of(recipe: Recipe, env: kit.Envelope, made: tuple[bytes, bytes, bytes]) -> Items:
    """The attributes that the page asks for, envelope's and trailer's together."""
    plain, dek, customer = made
    if recipe.mode == 1:
        etag = hashlib.md5(plain, usedforsecurity=False).digest()
    else:
        etag = kit.random_etag(ETAG_KEY, env.data_id)
    items: Items = [(1, kit.u64(recipe.size)), (2, recipe.etag or etag)]
    if recipe.multipart:
        items = [(7, draw(recipe.label, "manifest"))]
    items.append((3, recipe.committed or kit.commitment(dek)))
    if recipe.mode == 4:
        items.append((4, kit.verifier(customer, AKS[recipe.ak], env.salt)))
    if recipe.mode in (2, 3) and not any(tag == 5 for tag, _ in recipe.extra):
        items.append((5, KMS_KEY_ID))
    return sorted([*items, *recipe.extra, *recipe.checksums])


def make(recipe: Recipe) -> Made:
    label = recipe.label
    dek, customer = draw(label, "dek", count=32), draw(label, "customer", count=32)
    upper, upper_id, kms_blob = upper_key(recipe, customer)
    part_salt = bytes(16) if recipe.multipart else draw(label, "part-salt")
    salts = (draw(label, "data-id"), draw(label, "salt"), part_salt)
    ids = (recipe.mode, KEYRING_ID, recipe.ak, recipe.data_ak, upper_id, kms_blob)
    env = kit.Envelope(*ids, *salts)
    env = recipe.envelope(env) if recipe.envelope else env

    large = recipe.size > kit.SMALL
    header = kit.make_header(1, recipe.size, env.part_salt, trailer=large)
    header = recipe.header(header) if recipe.header else header
    sealed, plain = part(recipe, dek, env.data_id, header)
    items = attributes_of(recipe, env, (plain, dek, customer))
    attributes = dict(items)
    blob = header + b"".join(sealed)
    if large:
        late = [(tag, value) for tag, value in items if tag == 2 or tag >= 0x10]
        items = [pair for pair in items if pair not in late]
        late = recipe.trailer(late) if recipe.trailer else late
        padded = kit.encode_attributes(late).ljust(240, b"\0")
        padded = recipe.padded(padded) if recipe.padded else padded
        ak = AKS[recipe.trailer_ak or recipe.data_ak]
        blob += kit.seal_trailer(ak, env.data_id, header, padded)

    wrapped = kit.wrap_dek(recipe.wrapped or dek, upper, env, recipe.bucket, recipe.key)
    env = replace(env, wrapped=wrapped)
    items = recipe.attributes(items) if recipe.attributes else items
    encoded = kit.encode_attributes(items)
    encoded = recipe.encoded(encoded) if recipe.encoded else encoded
    sealed_attributes = kit.seal_attributes(encoded, AKS[recipe.ak], env, recipe.bucket, recipe.key)
    env = replace(env, sealed=sealed_attributes)
    return Made(recipe, env, blob, plain, dek, upper, customer, attributes)


@dataclass(frozen=True)
class Shown:
    """What a vector shows instead of what was made. released: plain bytes before the failure."""

    blob: bytes | None = None
    text: str | None = None
    bucket: str | None = None
    key: str | None = None
    customer: bytes | None = None
    attribute_keys: tuple[int, ...] = (1, 2)
    released: int = 0


AS_MADE = Shown()


def object_vector(made: Made, expect: str, comment: str, shown: Shown = AS_MADE) -> Vector:
    """A vector of kind "object", of a multipart object "envelope"; expect: "success" or a stage."""
    recipe = made.recipe
    whole = made.dek if recipe.multipart else made.plain
    released = whole if expect == "success" else whole[: shown.released]
    fields = [
        ("expect", expect if expect == "success" else f"{expect} failure"),
        ("payload", kit.sha256(released)),
        ("comment", comment),
        ("kind", "envelope" if recipe.multipart else "object"),
        ("bucket", kit.quoted(shown.bucket or recipe.bucket)),
        ("key", kit.quoted(shown.key or recipe.key)),
        ("envelope", kit.quoted(made.env.text() if shown.text is None else shown.text)),
    ]
    fields += key_fields(made, shown.attribute_keys, shown.customer)
    if expect == "success":
        items = made.attributes.items()
        fields += [("attribute", f"{tag:02x} {value.hex()}") for tag, value in items]
    blob = b"" if recipe.multipart else made.blob
    return vector(fields, blob if shown.blob is None else shown.blob)


def key_fields(
    made: Made, attribute_keys: Sequence[int], customer: bytes | None = None
) -> list[tuple[str, str]]:
    """What a reader of the object holds."""
    fields = [("attribute-key", f"{v} {AKS[v].hex()}") for v in attribute_keys]
    if made.recipe.mode == 1:
        fields += [("master-key", f"{v} {key.hex()}") for v, key in MASTERS.items()]
    elif made.recipe.mode == 4:
        fields.append(("customer-key", (customer or made.customer).hex()))
    else:
        fields.append(("upper-key", made.upper.hex()))
    return fields


def part_vector(blob: bytes, made: Made, expect: str, comment: str, released: bytes) -> Vector:
    """A vector of kind "part": a part alone, with its data key, read as far as it goes."""
    fields = [
        ("expect", expect if expect == "success" else f"{expect} failure"),
        ("payload", kit.sha256(released)),
        ("comment", comment),
        ("kind", "part"),
        ("data-key", made.dek.hex()),
        ("data-id", made.env.data_id.hex()),
    ]
    return vector(fields, blob)


def flip(data: bytes, position: int, mask: int = 1) -> bytes:
    position %= len(data)
    return data[:position] + bytes([data[position] ^ mask]) + data[position + 1 :]
