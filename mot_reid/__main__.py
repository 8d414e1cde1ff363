"""`python -m mot_reid COMMAND ...`, the same as `mot-reid COMMAND ...`."""

import sys

from mot_reid.cli.main import main

if __name__ == "__main__":
    sys.exit(main())
