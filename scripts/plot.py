#!/usr/bin/env python3
"""Draw the figures of runs, finished or not: python scripts/plot.py DIR [DIR ...] [--out FOLDER].

The same as `python -m hpmpi plot`.
"""

import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parents[1]))

from hpmpi.cli.main import main

if __name__ == "__main__":
    sys.exit(main(["plot", *sys.argv[1:]]))
