"""`python -m cstore`."""

from cstore.cli import main

main()
