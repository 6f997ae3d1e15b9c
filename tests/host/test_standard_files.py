"""Standard files that are closed, or of another encoding, when we are started."""

import os
import subprocess
import sys

import pytest

PROGRAM = """
import os, sys
from collector.host.standard_files import open_standard_files
open_standard_files()
opened = os.open({path!r}, os.O_WRONLY | os.O_CREAT)
sys.stderr.write("said")
print("printed", flush=True)
os.write(2, b"said")
os.write(opened, str([os.get_inheritable(number) for number in range(3)]).encode())
"""


@pytest.mark.parametrize("closed", ["2>&-", ">&- 2>&-", "<&- >&- 2>&-", ""])
def test_what_is_opened_next_does_not_take_their_place(tmp_path, closed):
    """A journal that is descriptor 2 has each message of a library written into it."""
    path = tmp_path / "journal"
    program = PROGRAM.format(path=str(path))
    done = subprocess.run(
        ["bash", "-c", f'exec "$0" -c "$1" {closed}', sys.executable, program],
        env=os.environ | {"PYTHONPATH": os.pathsep.join(sys.path)},
        capture_output=True,
        check=False,
    )
    assert (done.returncode, path.read_text()) == (0, "[True, True, True]")


@pytest.mark.parametrize(("encoding", "printed"), [("ascii", b"? caf? ?"), ("utf-8", "● café …".encode())])
def test_what_an_encoding_lacks_ends_no_command(encoding, printed):
    program = "from collector.host.standard_files import open_standard_files as o; o(); print('● café …', end='')"
    done = subprocess.run(
        [sys.executable, "-c", program],
        env=os.environ | {"PYTHONPATH": os.pathsep.join(sys.path), "PYTHONIOENCODING": encoding},
        capture_output=True,
        check=True,
    )
    assert done.stdout == printed
