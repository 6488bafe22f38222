"""A corpus as datasets of other projects: `corpus export`."""


class NotExportable(ValueError):
    """A corpus that cannot be exported as it was asked for; the message says why, and what can be done."""
