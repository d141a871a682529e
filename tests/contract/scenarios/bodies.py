"""Bodies that every scenario shares: empty, small, and larger than what the proxy holds back."""

from __future__ import annotations

SMALL = b"the quick brown fox jumps over the lazy dog\n"
LARGE = bytes(range(256)) * 4 * 700  # 700 KiB
PART = bytes(reversed(range(256))) * 4 * 5 * 1024  # 5 MiB, the least that is no last part
