"""`python -m stages.train`."""

import sys

from stages.train.command import main

if __name__ == "__main__":  # workers of the loader may import it again
    sys.exit(main())
