"""The same as `mot-reid import`, for those with a checkout."""

import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parent.parent))

from mot_reid.cli.import_ import main

if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
