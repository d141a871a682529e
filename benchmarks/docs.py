"""The block of docs/performance.md that a run writes."""

from __future__ import annotations

BEGIN = "<!-- results of make bench -->"
END = "<!-- end of results -->"


def put_into(page: str, block: str) -> str:
    """The page with the block between its marks. Raises ValueError without them."""
    before, begin, rest = page.partition(BEGIN)
    _, end, after = rest.partition(END)
    if not begin or not end:
        raise ValueError(f"the page has no {BEGIN} and {END}")
    return f"{before}{BEGIN}\n{block}{END}{after}"
