"""Puts the packages of all services on the import path, as their functions have them."""

import sys
from pathlib import Path

ROOT = Path(__file__).parent
sys.path[:0] = [str(folder) for folder in sorted(ROOT.glob("functions/*/src"))]
