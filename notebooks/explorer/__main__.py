"""`python -m notebooks.explorer`: what `make explore` runs."""

import os
import sys

from notebooks.explorer.serve import main

if __name__ == "__main__":
    status = main()
    sys.stdout.flush()
    sys.stderr.flush()
    # Not sys.exit: that would wait for the threads that marimo has for pages still open.
    os._exit(status)
