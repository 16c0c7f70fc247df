"""``python -m localstack.embedded``."""

import sys

from localstack.embedded.cli import main

sys.exit(main())
