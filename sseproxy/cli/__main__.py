"""`python -m sseproxy.cli`."""

from sseproxy.cli import main

main()
