"""The one kind of error that a user of the course can mend."""


class DrillError(Exception):
    """Bad input. Its message is one line that names what is wrong and what to do; the command ends with status 2."""
