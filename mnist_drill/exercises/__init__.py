"""The checks of the exercises, a module for each notebook: one call, one line of feedback, never an exception."""
