"""Evidently, imported before the tests: it and what it imports warn on import, which is theirs."""

import warnings

with warnings.catch_warnings():
    warnings.simplefilter("ignore")

    import collector.evaluation.worker  # noqa: F401  # and all that it imports
