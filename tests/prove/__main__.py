"""Prove with real processes that there is one fetch per token life, whatever happens at once.

python tests/prove [--only NAME] [--seed N]
"""

import sys
from pathlib import Path

# Not this folder but the one above: so `prove` is a package, and the parts of the tests are at hand.
sys.path[0] = str(Path(__file__).parent.parent)

from prove.run import main  # noqa: E402  it needs the path

sys.exit(main())
