"""python -m anticipation: the `anticipate` command where it is on no path."""

import sys

from .cli import main

sys.exit(main())
