"""What ends the demo early."""


class DemoError(Exception):
    """A step cannot go on; the message says what was seen and what to do about it."""
