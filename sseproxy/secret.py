"""A type for secret bytes whose repr, str and pickling give nothing away."""

from __future__ import annotations

import hmac
from typing import NoReturn


class Secret:
    """Secret bytes: a key, a password, a client's secret access key.

    Comparison is constant-time, `repr` and `str` are hidden, and it can't be pickled
    or formatted by accident. `reveal()` is the one way out, easy to search for.
    """

    __slots__ = ("_value",)

    def __init__(self, value: bytes | str) -> None:
        self._value = value.encode() if isinstance(value, str) else bytes(value)

    def reveal(self) -> bytes:
        """The secret itself. Keep it in a local variable, never in a message."""
        return self._value

    def __len__(self) -> int:
        return len(self._value)

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Secret) and hmac.compare_digest(self._value, other._value)

    __hash__ = None  # type: ignore[assignment]  # a hash of a secret is a digest of it

    def __repr__(self) -> str:
        return "Secret(hidden)"

    __str__ = __repr__

    def __format__(self, spec: str) -> str:
        return "Secret(hidden)"

    def __reduce__(self) -> NoReturn:
        raise TypeError("a Secret is not pickled")
