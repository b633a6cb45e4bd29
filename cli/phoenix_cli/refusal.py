"""What a person did that cannot be done: one sentence with what, where, and what to do; never a stack trace."""


class Refused(Exception):  # noqa: N818 - it is an answer to a person, not a fault of the program
    """Ends a command with exit status 1; the message goes to standard error."""
