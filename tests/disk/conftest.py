"""A journal in a temporary directory, and a disk that is soon full."""

from disks import journal, path, small_disk  # noqa: F401  (fixtures)
