"""Paths in the repository, and of what a run writes."""

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

    def make(self) -> None:
        """Creates the folder, or closes one that was open to others: it holds keys, mails and codes."""
        self.path.mkdir(mode=0o700, parents=True, exist_ok=True)
        self.path.chmod(0o700)

    @property
    def state(self) -> Path:
        """The state that the emulator saves when it is stopped and loads when it starts."""
        return self.path / "state"

    @property
    def scratch(self) -> Path:
        """The emulator's temporary files: an unpacked copy of the code for each worker. Removed on stop."""
        return self.path / "tmp"

    @property
    def build(self) -> Path:
        """The zip files and the rewritten templates."""
        return self.path / "build"

    @property
    def logs(self) -> Path:
        """The output of the emulator and the proxy."""
        return self.path / "logs"

    @property
    def engine_log(self) -> Path:
        """The output of the emulator."""
        return self.logs / "ministack.log"

    @property
    def stack_file(self) -> Path:
        """Addresses, accounts and names of the running stack, as JSON."""
        return self.path / "stack.json"

    @property
    def processes_file(self) -> Path:
        """The processes of the current run, as JSON."""
        return self.path / "processes.json"


LOCAL = WorkDir(ROOT / ".local")
