"""``python -m collector``, the same as ``evidently collector``."""

from collector.cli import main

if __name__ == "__main__":  # worker processes import this module
    main()
