"""The same as `mot-reid import`, for those with a checkout."""

import sys
from importlib import import_module
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parent.parent))

main = import_module("mot_reid.cli.import").main  # "import" is a word of Python, which a statement cannot name

if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
