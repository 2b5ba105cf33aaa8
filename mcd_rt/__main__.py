"""``python -m mcd_rt``."""

import sys

from mcd_rt.cli.main import main

sys.exit(main())
