"""An implementation of format v1 of its own, and the maker of tests/vectors.

Nothing here imports sseproxy: what both agree on, the page docs/format.md says.
"""
