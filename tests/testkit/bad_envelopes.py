"""Objects whose envelope is malformed, altered, or another's."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import replace

from tests.testkit import kit
from tests.testkit.making import AKS, BUCKET, KEY, Items, Recipe, Shown, draw, flip, make
from tests.testkit.making import object_vector as show
from tests.testkit.vector import Vector

Named = Iterator[tuple[str, Vector]]

ALPHABET = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_"

# Offsets of the fields of a mode 1 envelope (section 4).
FIELDS = {
    "keyring-id": 2,
    "ak-version": 21,
    "data-ak-version": 25,
    "upper-key-id": 30,
    "data-id": 33,
    "salt": 49,
    "part-salt": 65,
    "wrapped-key": 81,
    "wrapped-key-tag": 128,
    "attributes": 129,
    "attributes-tag": -1,
}


def altered() -> Named:
    """One bit of each field; of the AK version two, so that it names another key that exists."""
    made = make(Recipe("altered"))
    data = kit.unb64url(made.env.text())
    for field, offset in FIELDS.items():
        text = kit.b64url(flip(data, offset, 3 if field == "ak-version" else 1))
        shown = Shown(text=text)
        yield f"envelope-altered-{field}", show(made, "envelope", f"{field} altered", shown)
    made = make(Recipe("altered-mode", mode=1))
    data = kit.unb64url(made.env.text())
    for mode in (0, 2, 3, 4, 5, 255):
        text = kit.b64url(data[:1] + bytes([mode]) + data[2:])
        comment = f"mode 1 altered to {mode}"
        yield f"envelope-mode-{mode}", show(made, "envelope", comment, Shown(text=text))
    for version in (0, 2, 255):
        text = kit.b64url(bytes([version]) + data[1:])
        yield (
            f"envelope-version-{version}",
            show(made, "version", "another version is refused by name", Shown(text=text)),
        )


def keys() -> Named:
    made = make(Recipe("no-ak", ak=2, data_ak=2))
    shown = Shown(attribute_keys=(1,))
    yield "key-attribute-missing", show(made, "key", "an AK version that is not there", shown)
    made = make(Recipe("no-master", envelope=lambda env: replace(env, upper_id=kit.u32(9))))
    yield "key-master-missing", show(made, "key", "a master key version that is not there")
    made = make(Recipe("other-ak", envelope=lambda env: replace(env, ak_version=2)))
    comment = "names AK 2, its attributes are sealed under AK 1"
    yield "envelope-wrong-ak", show(made, "envelope", comment)
    made = make(Recipe("other-master", envelope=lambda env: replace(env, upper_id=kit.u32(1))))
    comment = "names master key 1, the data key is wrapped under 7"
    yield "envelope-wrong-master", show(made, "envelope", comment)
    made = make(Recipe("customer", mode=4))
    other = draw("another customer", count=32)
    shown = Shown(customer=other)
    yield "key-customer-wrong", show(made, "key", "SSE-C with another customer key", shown)
    lie = kit.verifier(other, AKS[1], draw("lie", "salt"))
    made = make(Recipe("lie", mode=4, attributes=value(4, lie)))
    comment = "the verifier is of the customer key given, the wrapped key is not"
    yield "envelope-verifier-lies", show(made, "envelope", comment, Shown(customer=other))
    for mode in (1, 2, 3, 4):
        made = make(Recipe(f"rewrapped-{mode}", mode=mode, wrapped=draw("foreign", count=32)))
        comment = "another data key, wrapped correctly: it opens, but is not the committed one"
        yield f"commitment-{mode}", show(made, "commitment", comment)
    made = make(Recipe("committed", committed=draw("committed")))
    yield "commitment-attribute", show(made, "commitment", "the commitment is of no key")


def moved() -> Named:
    moves = {
        "bucket": ((BUCKET, KEY), ("videos", KEY)),
        "key": ((BUCKET, KEY), (BUCKET, "2024/dog.jpg")),
        "case": ((BUCKET, KEY), (BUCKET, "2024/CAT.jpg")),
        "boundary": (("photos", "2024"), ("photos2", "024")),
        "normalisation": ((BUCKET, "re\u0301sume\u0301"), (BUCKET, "r\u00e9sum\u00e9")),
        "slash": ((BUCKET, "a//b"), (BUCKET, "a/b")),
        "dots": ((BUCKET, "a/../b"), (BUCKET, "b")),
        "encoded": ((BUCKET, "a%2Fb"), (BUCKET, "a/b")),
        "plus": ((BUCKET, "a+b"), (BUCKET, "a b")),
    }
    for mode in (1, 2, 3, 4):
        for label, ((bucket, key), (to_bucket, to_key)) in moves.items():
            if mode > 1 and label not in ("bucket", "key"):
                continue
            made = make(Recipe(f"moved-{label}-{mode}", mode=mode, bucket=bucket, key=key, size=9))
            shown = Shown(bucket=to_bucket, key=to_key)
            name = f"moved-{label}" + (f"-mode-{mode}" if mode > 1 else "")
            yield name, show(made, "envelope", "object and envelope under another name", shown)


def encodings() -> Named:
    # The length of the KMS key id decides how many bits of the last character are unused.
    lengths = range(1, 4)
    tried = [make(Recipe(f"bits-{n}", mode=3, extra=((5, b"k" * n),))) for n in lengths]
    by_rest = {len(made.env.text()) % 4: made for made in tried}
    for bits, made in ((2, by_rest[3]), (4, by_rest[2])):
        text = made.env.text()
        last = ALPHABET[ALPHABET.index(text[-1]) + 1]
        shown = Shown(text=text[:-1] + last)
        comment = f"base64 with one of {bits} unused bits set"
        yield f"envelope-base64-bits-{bits}", show(made, "envelope", comment, shown)
        shown = Shown(text=text + "=" * (-len(text) % 4))
        comment = "padded base64"
        yield f"envelope-base64-padded-{bits}", show(made, "envelope", comment, shown)
    made = make(Recipe("text"))
    text = made.env.text()
    middle = len(text) // 2
    wrong = {
        "empty": "",
        "one": "A",
        "plus": text[:middle] + "+" + text[middle + 1 :],
        "slash": text[:middle] + "/" + text[middle + 1 :],
        "space": text[:middle] + " " + text[middle:],
        "space-first": " " + text,
        "newline-last": text + "\n",
        "nul": text + "\0",
        "non-ascii": text[:middle] + "\u0661" + text[middle + 1 :],
        "surplus": text + "A" * (1 + -len(text) % 4),
        "twice": text + "," + text,
    }
    for label, other in wrong.items():
        comment = "not canonical base64url"
        yield f"envelope-base64-{label}", show(made, "envelope", comment, Shown(text=other))
    data = kit.unb64url(text)
    for length in (1, 2, 17, 18, 25, 26, 29, 30, 31, 32, 48, 80, 81, 128, 129, 144, 145):
        comment = f"the first {length} bytes"
        shown = Shown(text=kit.b64url(data[:length]))
        yield f"envelope-cut-{length}", show(made, "envelope", comment, shown)
    lengths_wrong = {"last": data[:-1], "zero": data + b"\0", "twice": data + data}
    for label, longer in lengths_wrong.items():
        shown = Shown(text=kit.b64url(longer))
        yield f"envelope-length-{label}", show(made, "envelope", "bytes cut or appended", shown)


def fields() -> Named:
    """Sealed correctly, and refused all the same."""
    ids = {1: (0, 3, 5), 2: (0, 31, 33), 3: (0, 20, 35, 37), 4: (1, 4)}

    def with_id(length: int) -> Callable[[kit.Envelope], kit.Envelope]:
        return lambda env: replace(env, upper_id=(env.upper_id + bytes(40))[:length])

    for mode, lengths in ids.items():
        for length in lengths:
            made = make(Recipe(f"id-{mode}-{length}", mode=mode, envelope=with_id(length)))
            comment = f"mode {mode} with an upper key id of {length} bytes"
            yield f"envelope-id-{mode}-{length}", show(made, "envelope", comment)
    for mode in (1, 2, 3, 4):
        blob = b"" if mode == 2 else b"blob"
        made = make(Recipe(f"kms-blob-{mode}", mode=mode, envelope=with_blob(blob)))
        comment = f"mode {mode} {'without' if mode == 2 else 'with'} a KMS blob"
        yield f"envelope-blob-{mode}", show(made, "envelope", comment)
    for length in (2049, 4000):
        made = make(Recipe(f"long-{length}", encoded=padded_to(length)))
        comment = f"{length} bytes of attributes, more than 2,048"
        yield f"envelope-attributes-{length}", show(made, "envelope", comment)


def padded_to(length: int) -> Callable[[bytes], bytes]:
    return lambda data: data.ljust(length, b"\0")


def with_blob(blob: bytes) -> Callable[[kit.Envelope], kit.Envelope]:
    return lambda env: replace(env, kms_blob=blob)


def without(tag: int) -> Callable[[Items], Items]:
    return lambda items: [pair for pair in items if pair[0] != tag]


def plus(tag: int, value: bytes) -> Callable[[Items], Items]:
    return lambda items: sorted([*items, (tag, value)])


def value(tag: int, other: bytes) -> Callable[[Items], Items]:
    return lambda items: [(t, other if t == tag else v) for t, v in items]


def attributes() -> Named:
    """Attributes that are sealed correctly, and are not what 4.2 allows."""
    listed: dict[str, Callable[[Items], Items]] = {
        "no-size": without(1),
        "no-commitment": without(3),
        "verifier-in-mode-1": plus(4, bytes(32)),
        "descending": lambda items: items[::-1],
        "swapped": lambda items: [items[1], items[0], *items[2:]],
        "duplicate": lambda items: [items[0], items[0], *items[1:]],
        "duplicate-last": lambda items: [*items, items[-1]],
        "size-7": value(1, bytes(7)),
        "size-9": value(1, bytes(9)),
        "etag-0": value(2, b""),
        "etag-15": value(2, bytes(15)),
        "etag-18": value(2, bytes(18)),
        "etag-21": value(2, bytes(21)),
        "commitment-15": value(3, bytes(15)),
        "commitment-32": value(3, bytes(32)),
        "kms-id-0": plus(5, b""),
        "kms-id-1025": plus(5, b"k" * 1025),
        "context-0": plus(6, b""),
        "context-257": plus(6, b"{" * 257),
        "manifest-15": plus(7, bytes(15)),
    }
    for tag in (0x00, 0x08, 0x0F, 0x1B, 0x7F, 0xFF):
        listed[f"tag-{tag:02x}"] = plus(tag, bytes(4))
    for tag in range(0x10, 0x1B):
        listed[f"length-{tag:02x}"] = plus(tag, bytes(kit.LENGTHS[tag][0] + 1))
    for label, change in listed.items():
        made = make(Recipe(f"attr-{label}", attributes=change))
        yield f"attributes-{label}", show(made, "envelope", "sealed correctly, not allowed")
    made = make(Recipe("attr-no-verifier", mode=4, attributes=without(4)))
    yield "attributes-no-verifier", show(made, "envelope", "SSE-C without its verifier")
    yield from encoded_attributes()


def encoded_attributes() -> Named:
    encodings: dict[str, Callable[[bytes], bytes]] = {
        "none": lambda _: b"",
        "zero-byte": lambda data: data + b"\0",
        "zero-padding": lambda data: data.ljust(240, b"\0"),
        "tag-alone": lambda data: data + b"\x10",
        "value-cut": lambda data: data[:-1],
        "long-form-cut": lambda data: data + b"\x05\xff\x01",
        "long-form-short": lambda data: data + b"\x10\xff\x00\x04" + bytes(4),
        "long-form-254": lambda data: data + b"\x05\xff\x00\xfe" + b"k" * 254,
        "length-beyond": lambda data: data + b"\x05\xff\xff\xff" + b"k",
    }
    for label, change in encodings.items():
        made = make(Recipe(f"encoded-{label}", encoded=change))
        yield f"attributes-{label}", show(made, "envelope", "sealed correctly, not allowed")


def swapped() -> Named:
    first, second = make(Recipe("swap-1")), make(Recipe("swap-2"))
    comment = "another envelope of the same name and size"
    shown = Shown(blob=second.blob)
    yield "envelope-swapped", show(first, "header", comment, shown)
    shown = Shown(blob=first.blob[:64] + second.blob[64:])
    yield "envelope-swapped-header-kept", show(first, "segment", "... the header kept", shown)
    mixed = replace(first.env, wrapped=second.env.wrapped)
    shown = Shown(text=mixed.text())
    yield "envelope-foreign-key", show(first, "envelope", "the wrapped key of another", shown)
    mixed = replace(first.env, sealed=second.env.sealed)
    shown = Shown(text=mixed.text())
    yield "envelope-foreign-attributes", show(first, "envelope", "the attributes of another", shown)


def bad_envelopes() -> Iterator[tuple[str, Vector]]:
    for group in (altered, keys, moved, encodings, fields, attributes, swapped):
        yield from group()
