"""The highest epochs seen: what shows that the store plays back an older keyring or settings."""

from __future__ import annotations

import json
import logging
from pathlib import Path

from sseproxy.errors import KeyManagementError, KeyringStale
from sseproxy.keys.rootkey import write_private_file

EPOCHS_NAME = "epochs.json"
_KINDS = ("keyring", "settings")
_log = logging.getLogger(__name__)


class EpochMemory:
    """Remembers the highest epoch of one keyring's records, and refuses lower ones.

    path: a file to remember them in across restarts, or None for this process only.
    min_epoch: a floor for the keyring's epoch that needs no memory (`min_epoch` in the YAML).
    """

    def __init__(self, keyring_id: bytes, *, path: Path | None = None, min_epoch: int = 1) -> None:
        self._id = keyring_id.hex()
        self._path = path
        self._seen = {"keyring": min_epoch, "settings": 1}
        self._merge(self._read().get(self._id, {}))

    def check(self, kind: str, epoch: int) -> None:
        """Take note of an epoch of "keyring" or "settings"; KeyringStale if a higher was seen."""
        seen = self._seen[kind]
        if epoch < seen:
            hint = f" (after restoring a backup, remove {self._path})" if self._path else ""
            raise KeyringStale(
                f"the store's {kind} has epoch {epoch}, but {seen} was seen or is required: "
                f"the store gives an older one{hint}"
            )
        if epoch > seen:
            self._seen[kind] = epoch
            self._write()

    def _merge(self, seen: dict[str, int]) -> None:
        for kind in _KINDS:
            self._seen[kind] = max(self._seen[kind], seen.get(kind, 1))

    def _read(self) -> dict[str, dict[str, int]]:
        if self._path is None or not self._path.exists():
            return {}
        try:
            document = json.loads(self._path.read_bytes())
            return {
                str(keyring_id): {kind: int(epochs[kind]) for kind in _KINDS}
                for keyring_id, epochs in document.items()
            }
        except (ValueError, TypeError, KeyError, AttributeError, OSError):
            message = f"{self._path}, the highest epochs seen, is damaged: restore or remove it"
            raise KeyManagementError(message) from None

    def _write(self) -> None:
        if self._path is None:
            return
        document = self._read()
        # Another worker on this machine may have seen a higher one meanwhile.
        self._merge(document.get(self._id, {}))
        document[self._id] = dict(self._seen)
        try:
            write_private_file(self._path, json.dumps(document, sort_keys=True).encode() + b"\n")
        except OSError as error:
            # This process remembers all the same; refusing writes over a full disk would not
            # make the store any more honest.
            _log.warning("can't remember the epochs in %s: %s", self._path, error.strerror)
