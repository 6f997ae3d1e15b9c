"""Rehearses nothing, for a daemon whose test isn't about that: each rehearsal would load Evidently once more."""

import trio


class Rehearsing:
    def __init__(self, work, referring):
        """Take what the real one takes."""

    async def run(self):
        await trio.sleep_forever()
