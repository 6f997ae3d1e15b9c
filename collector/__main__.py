"""``python -m collector`` and ``evidently-collector``: the same as ``evidently collector``."""

from collector.host.signals import end_at_signals
from collector.host.standard_files import open_standard_files


def main() -> None:
    """Run the command line. Importing it takes a while."""
    end_at_signals()
    open_standard_files()
    from collector import cli

    cli.main()


if __name__ == "__main__":  # worker processes import this module
    main()
