"""`python -m tests.testkit.generate` writes tests/vectors anew, the same bytes every time."""

from __future__ import annotations

from itertools import chain

from tests.testkit.bad_blobs import bad_blobs
from tests.testkit.bad_envelopes import bad_envelopes
from tests.testkit.bad_multipart import bad_multipart
from tests.testkit.good import all_good
from tests.testkit.good_multipart import good_multipart
from tests.testkit.presence import presence
from tests.testkit.reading import outcome
from tests.testkit.records import records
from tests.testkit.tables import TABLES
from tests.testkit.uploads import upload_records
from tests.testkit.vector import FOLDER, SUFFIX, Vector


def build() -> dict[str, Vector]:
    """Every vector by its name. The kit's own reader has to agree with each of them."""
    vectors: dict[str, Vector] = {}
    objects = (all_good(), bad_envelopes(), presence(), bad_blobs())
    multipart = (good_multipart(), bad_multipart(), upload_records())
    for name, vector in chain.from_iterable((*objects, records(), *multipart)):
        declared = (vector.one("expect"), vector.one("payload"))
        if name in vectors:
            raise ValueError(f"{name} is there twice")
        if outcome(vector) != declared:
            raise ValueError(f"{name}: the kit says {outcome(vector)}, the vector {declared}")
        vectors[name] = vector
    return vectors


def main() -> None:
    vectors = build()
    FOLDER.mkdir(exist_ok=True)
    for path in chain(FOLDER.glob(f"*{SUFFIX}"), FOLDER.glob("*.txt")):
        path.unlink()
    for name, vector in vectors.items():
        (FOLDER / f"{name}{SUFFIX}").write_text(vector.encode())
    for name, table in TABLES.items():
        (FOLDER / name).write_text(table())


if __name__ == "__main__":
    main()
