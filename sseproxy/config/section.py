"""The base of every section: strict, frozen, unknown keys refused."""

from __future__ import annotations

from pydantic import BaseModel, ConfigDict


class Section(BaseModel):
    """A group of settings. Strict: a quoted number is no number, a bare one no text."""

    model_config = ConfigDict(
        extra="forbid",
        frozen=True,
        strict=True,
        arbitrary_types_allowed=True,
        # pydantic quotes the wrong input, which may be a secret.
        hide_input_in_errors=True,
    )
