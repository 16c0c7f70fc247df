"""Where things lie in the repository, and where a run puts what it writes."""

from dataclasses import dataclass
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
TEMPLATE = ROOT / "template.yaml"
COMMON_LAYER = ROOT / "layers" / "common"
SAMPLE_BOOKS = ROOT / "localstack" / "sample" / "loc-books-500.mrc"


@dataclass(frozen=True, slots=True)
class WorkDir:
    """The folder of one run: emulator state, logs, built packages, and what is known about the stack."""

    path: Path

    @property
    def state(self) -> Path:
        """What the emulator saves on an orderly stop and loads on start."""
        return self.path / "state"

    @property
    def scratch(self) -> Path:
        """The emulator's temporary files: one unpacked copy of the code per worker. Removed on stop."""
        return self.path / "tmp"

    @property
    def build(self) -> Path:
        """The zip files and the rewritten template."""
        return self.path / "build"

    @property
    def logs(self) -> Path:
        """What the emulator and the proxy print."""
        return self.path / "logs"

    @property
    def engine_log(self) -> Path:
        """What the emulator prints."""
        return self.logs / "ministack.log"

    @property
    def stack_file(self) -> Path:
        """Addresses, accounts and names of the running stack, as JSON."""
        return self.path / "stack.json"

    @property
    def processes_file(self) -> Path:
        """The processes a detached run left running, as JSON."""
        return self.path / "processes.json"


LOCAL = WorkDir(ROOT / ".local")
