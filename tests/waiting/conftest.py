"""What the tests of pipelines share."""

from disks import small_disk  # noqa: F401  (a fixture)
from worlds import world  # noqa: F401  (a fixture)
