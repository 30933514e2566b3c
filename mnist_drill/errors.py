"""The one kind of error that a user of the course can mend."""


class DrillError(Exception):
    """Bad input. Its message is one line that names what is wrong and what to do; the command ends with status 2."""


class Interrupted(Exception):
    """The user ended a training. Its message is one line that says what was kept; the command ends with status 130."""
