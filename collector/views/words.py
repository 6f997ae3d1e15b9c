"""Words: numbers as short as a person reads them, and texts that a terminal can show."""


def short(number: float) -> str:
    """Write a count or a rate in at most five characters: 7, 0.4, 9999, 12.3k, 4.5M."""
    if number < 9.95 and number != int(number):
        return f"{number:.1f}"
    if number < 9999.5:
        return f"{number:.0f}"
    for unit in "kMG":
        number /= 1000
        if number < 999.95:
            return (f"{number:.1f}" if number < 99.95 else f"{number:.0f}").removesuffix(".0") + unit
    return f"{number / 1000:.0f}T"


def printable(text: str) -> str:
    """Return a text without what could move a cursor or change a terminal; ids and errors come from elsewhere."""
    if text.isprintable():
        return text
    return "".join(character if character.isprintable() or character == "\n" else "�" for character in text)
