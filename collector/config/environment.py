"""``${NAME}`` in a config: it stands for a variable of the environment, which is looked up at each use.

So the file is saved as it was typed, and what is secret stands in no file. Only an operator's text is filled in: what
a client posts must never hold a ``${NAME}`` of its own, as our secrets would go where that client says.
"""

from __future__ import annotations

import os
import re

from collector.errors import ConfigError

_REFERENCE = re.compile(r"\$\{([A-Za-z_][A-Za-z0-9_]*)\}")


def is_from_environment(text: str) -> bool:
    """Tell whether a text is one ``${NAME}`` and no more."""
    return _REFERENCE.fullmatch(text) is not None


def filled(text: str, *path: str | int) -> str:
    """Return a text with each ``${NAME}`` filled in; raise ConfigError at ``path`` for those that aren't there.

    A value that was read from a file ends with its line; what is around it is left out.
    """
    missing = [name for name in dict.fromkeys(_REFERENCE.findall(text)) if name not in os.environ]
    if missing:
        named = f"variable {missing[0]}" if len(missing) == 1 else f"variables {', '.join(missing)}"
        raise ConfigError.at(f"the environment of the service has no {named}; set it, or write the value itself", *path)
    return _REFERENCE.sub(lambda found: os.environ[found[1]].strip(), text)
