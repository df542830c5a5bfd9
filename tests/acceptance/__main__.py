"""Prove with real processes that there is one fetch per token life, whatever happens at once.

In the folder tests: python -m acceptance [--only NAME] [--seed N]
"""

import sys

from acceptance.run import main

sys.exit(main())
