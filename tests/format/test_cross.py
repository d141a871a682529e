"""What the kit seals sseproxy.format opens, and the other way round, for any input."""

from __future__ import annotations

from itertools import chain

from hypothesis import given
from hypothesis import strategies as st

from sseproxy.format import layout
from sseproxy.format.attributes import Attributes
from sseproxy.format.derive import customer_upper_key, verifier
from sseproxy.format.envelope import (
    Envelope,
    Mode,
    UpperKey,
    open_attributes,
    seal_envelope,
    unwrap_dek,
)
from sseproxy.format.header import HEADER_BYTES, Header
from sseproxy.format.manifest import Manifest
from sseproxy.format.names import ObjectName
from sseproxy.format.part_record import (
    PartRecord,
    open_part_record,
    part_record_key,
    seal_part_record,
)
from sseproxy.format.record import RecordType, open_record, seal_record
from sseproxy.format.segments import PartOpener, PartSealer, part_cipher
from sseproxy.format.trailer import open_trailer, seal_trailer
from sseproxy.format.upload import UploadRecord
from sseproxy.secret import Secret
from tests.format import test_manifest, test_part_record, test_upload
from tests.format.reader import CHECKSUMS, as_items, part_record_payload
from tests.testkit import kit
from tests.testkit.making import AKS, MASTERS, Recipe, draw, make

keys = st.binary(min_size=32, max_size=32)
ids = st.binary(min_size=16, max_size=16).filter(any)
names = st.builds(ObjectName, st.text(min_size=1, max_size=63), st.text(min_size=1, max_size=200))
u32 = st.integers(0, 2**32 - 1)
edges = st.sampled_from([0, 1, 65_535, 65_536, 65_537, 131_072, 524_288, 524_289])
sizes = edges | st.integers(0, 600_000)
checksums = st.fixed_dictionaries(
    {},
    optional={
        name: st.binary(min_size=n, max_size=n)
        for name, n in ((name, kit.LENGTHS[tag][0]) for tag, name in CHECKSUMS.items())
    },
)


@st.composite
def upper_keys(draw_: st.DrawFn) -> UpperKey:
    mode = draw_(st.sampled_from(Mode))
    length = {Mode.SSE_COS: 4, Mode.SSE_KMS: 32, Mode.SSE_KMS_BUCKET: 36, Mode.SSE_C: 0}[mode]
    blob = draw_(st.binary(min_size=1, max_size=300)) if mode is Mode.SSE_KMS else b""
    upper_id = draw_(st.binary(min_size=length, max_size=length))
    return UpperKey(mode, upper_id, Secret(draw_(keys)), blob)


@given(
    upper=upper_keys(),
    name=names,
    ak=keys,
    dek=keys,
    versions=st.tuples(u32, u32),
    salts=st.tuples(ids, ids, ids, ids),
    size=st.none() | sizes | st.integers(0, 2**43),
    etag=ids,
    sums=checksums,
    key_id=st.none() | st.text(min_size=1, max_size=256),
    context=st.none() | st.binary(min_size=1, max_size=256),
    customer=keys,
)
def test_kit_opens_an_envelope_of_sseproxy(
    upper: UpperKey,
    name: ObjectName,
    ak: bytes,
    dek: bytes,
    versions: tuple[int, int],
    salts: tuple[bytes, bytes, bytes, bytes],
    size: int | None,
    etag: bytes,
    sums: dict[str, bytes],
    key_id: str | None,
    context: bytes | None,
    customer: bytes,
) -> None:
    keyring_id, data_id, salt, part_salt = salts
    is_customer, late = upper.mode is Mode.SSE_C, size is None or size > 524_288
    if is_customer:
        own = customer_upper_key(Secret(customer), Secret(ak))
        upper = UpperKey(upper.mode, b"", own)
    attributes = Attributes(
        plain_size=size,
        etag=None if late else etag,
        key_id=key_id,
        context=context,
        manifest_id=data_id if size is None else None,
        checksums={} if late else sums,
        verifier=verifier(Secret(customer), Secret(ak), salt) if is_customer else None,
    )
    text = seal_envelope(
        upper=upper,
        keyring_id=keyring_id,
        ak_version=versions[0],
        ak=Secret(ak),
        data_ak_version=versions[1],
        data_id=data_id,
        dek=Secret(dek),
        salt=salt,
        part_salt=bytes(16) if size is None else part_salt,
        name=name,
        attributes=attributes,
    ).encode()

    env = kit.decode_envelope(text)
    held = kit.Keys({versions[0]: ak}, upper=upper.key.reveal(), customer=customer)
    if upper.mode is Mode.SSE_COS:
        held = kit.Keys({versions[0]: ak}, {int.from_bytes(upper.id): upper.key.reveal()})
    found = kit.open_attributes(env, held, name.bucket_identity, name.key)
    wanted = as_items(attributes) | {0x03: kit.commitment(dek)}
    assert found == wanted
    assert (env.mode, env.keyring_id, env.upper_id) == (upper.mode, keyring_id, upper.id)
    assert (env.data_ak_version, env.kms_blob) == (versions[1], upper.kms_blob)
    opened = kit.upper_key(env, found, held)
    place = (name.bucket_identity, name.key)
    assert kit.unwrap_dek(env, opened, *place, found[0x03]) == dek


@given(
    mode=st.sampled_from([1, 2, 3, 4]),
    name=names,
    ak=st.sampled_from([1, 2]),
    label=st.text(max_size=4),
    blob=st.integers(1, 300),
)
def test_sseproxy_opens_an_envelope_of_the_kit(
    mode: int, name: ObjectName, ak: int, label: str, blob: int
) -> None:
    recipe = Recipe(
        f"cross/{label}",
        mode=mode,
        bucket=name.bucket_identity,
        key=name.key,
        size=3,
        ak=ak,
        kms_blob_bytes=blob,
    )
    made = make(recipe)
    envelope = Envelope.decode(made.env.text())
    attributes = open_attributes(envelope, Secret(AKS[ak]), name)
    assert as_items(attributes) == made.attributes
    assert attributes.commitment is not None
    dek = unwrap_dek(envelope, Secret(made.upper), name, attributes.commitment)
    assert dek == Secret(made.dek)
    assert envelope.encode() == made.env.text()
    assert mode != 1 or made.upper == MASTERS[7]


@given(sizes, st.integers(1, 10_000), keys, ids, ids, st.integers(1, 9))
def test_parts_are_the_same_bytes_however_they_are_fed(
    size: int, number: int, dek: bytes, data_id: bytes, salt: bytes, step: int
) -> None:
    plain = draw("cross", size, count=size)
    header = Header(number, size, salt, has_trailer=False)
    packed = kit.make_header(number, size, salt)
    assert header.pack() == packed
    sealed = b"".join(kit.seal_segments(kit.part_key(dek, data_id, packed), plain))

    sealer, written = PartSealer(Secret(dek), data_id, header), bytearray()
    out = bytearray(step * 65_552)
    for start in range(0, max(size, 1), step * 65_536):
        piece = plain[start : start + step * 65_536]
        written += out[: sealer.seal_into(piece, memoryview(out))]
    assert sealer.finished
    assert written == sealed
    assert b"".join(kit.open_part(packed + written, dek, data_id)) == plain

    opener, opened = PartOpener(part_cipher(Secret(dek), data_id, header), header), bytearray()
    for start in range(0, len(sealed), step * 65_552):
        piece = sealed[start : start + step * 65_552]
        opened += out[: opener.open_into(piece, memoryview(out))]
    opener.finish()
    assert opened == plain


WHOLE = make(Recipe("cross/range", size=524_289))
BOUNDARIES = sorted(
    {0, 1, 524_288, 524_289}
    | set(chain.from_iterable((n - 1, n, n + 1) for n in range(65_536, 524_288, 65_536)))
)
positions = st.sampled_from(BOUNDARIES) | st.integers(0, 524_289)


@given(st.lists(positions, min_size=2, max_size=2, unique=True).map(sorted))
def test_a_range_of_a_kit_object_is_its_slice(bounds: list[int]) -> None:
    start, stop = bounds
    window = layout.window(len(WHOLE.plain), start, stop)
    header = layout.object_header(len(WHOLE.plain), WHOLE.env.part_salt)
    cipher = part_cipher(Secret(WHOLE.dek), WHOLE.env.data_id, header)
    opener = PartOpener(cipher, header, first_segment=window.first_segment)
    out = bytearray(window.segments * 65_536)
    count = opener.open_into(WHOLE.blob[window.sealed_start : window.sealed_stop], memoryview(out))
    given_ = out[window.skip : window.skip + window.plain_length]
    assert count >= window.skip + window.plain_length
    assert given_ == WHOLE.plain[start:stop]


@given(st.integers(524_289, 2**43), keys, ids, ids, ids, checksums)
def test_trailers_open_on_both_sides(
    size: int, ak: bytes, data_id: bytes, salt: bytes, etag: bytes, sums: dict[str, bytes]
) -> None:
    attributes = Attributes(etag=etag, checksums=sums)
    header = layout.object_header(size, salt)
    sealed = seal_trailer(attributes, Secret(ak), data_id, header)
    packed = kit.make_header(1, size, salt, trailer=True)
    assert kit.open_trailer(sealed, ak, data_id, packed) == as_items(attributes)
    items = kit.encode_attributes(sorted(as_items(attributes).items()))
    mirrored = kit.seal_trailer(ak, data_id, packed, items.ljust(240, b"\0"))
    assert mirrored == sealed
    assert open_trailer(mirrored, Secret(ak), data_id, header) == attributes


@given(st.binary(max_size=5000), keys, u32, st.sampled_from(RecordType), st.text(min_size=1), ids)
def test_records_open_on_both_sides(
    payload: bytes, key: bytes, version: int, kind: RecordType, name: str, salt: bytes
) -> None:
    sealed = seal_record(payload, Secret(key), version, kind, name)
    assert kit.open_record(sealed, {version: key}, kind, name) == payload
    sealed = kit.seal_record(payload, key, version, kind, name, salt)
    assert open_record(sealed, {version: Secret(key)}.__getitem__, kind, name) == payload


@given(test_manifest.manifests())
def test_manifests_are_the_same_bytes_on_both_sides(manifest: Manifest) -> None:
    found = kit.decode_manifest(manifest.encode())
    attributes = as_items(Attributes(etag=manifest.etag, checksums=manifest.checksums))
    assert found.attributes == attributes
    name = (manifest.name.bucket_identity, manifest.name.key)
    assert (found.bucket, found.key, found.data_id) == (*name, manifest.data_id)
    parts = [(part.number, part.plain, part.salt, part.checksum) for part in found.parts]
    told = [(part.number, part.plain_size, part.salt, part.checksum) for part in manifest.parts]
    assert parts == told
    encoded = kit.encode_attributes(sorted(attributes.items()))
    again = kit.manifest_payload(
        found.flags, name, found.data_id, encoded, found.part_tag, found.parts
    )
    assert Manifest.decode(again) == manifest


@given(test_upload.records())
def test_upload_records_are_the_same_bytes_on_both_sides(record: UploadRecord) -> None:
    kind = "COMPOSITE" if record.checksum_composite else "FULL_OBJECT"
    algorithm = record.checksum_algorithm
    payload = kit.upload_payload(
        record.name.bucket_identity,
        record.name.key,
        record.upload_id,
        record.envelope,
        record.part_key_salt,
        None if algorithm is None else (algorithm, kind),
        record.created,
    )
    assert record.encode() == payload
    kit.check_upload_payload(payload)


@given(test_part_record.records(), keys, ids, st.text(max_size=40), st.binary(min_size=12))
def test_part_records_open_on_both_sides(
    record: PartRecord, ak: bytes, salt: bytes, folder: str, nonce: bytes
) -> None:
    key, own = part_record_key(Secret(ak), salt, folder), kit.part_record_key(ak, salt, folder)
    payload = part_record_payload(record)
    assert kit.open_part_record(seal_part_record(record, key, folder), own, folder) == payload
    component = kit.seal_part_record(payload, own, folder, record.number, nonce[:12])
    assert open_part_record(component, key, folder) == record


@given(st.integers(0, 2**43))
def test_sizes_agree_on_both_sides(plain: int) -> None:
    assert layout.sealed_part_size(plain) == kit.part_size(plain)
    assert layout.sealed_object_size(plain) == kit.object_size(plain)
    assert layout.plain_object_size(kit.object_size(plain)) == plain
    assert kit.part_size(plain) >= HEADER_BYTES + 16
