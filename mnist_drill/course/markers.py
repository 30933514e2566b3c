"""Markers in a page: two comments, between which rendered text stands."""

from mnist_drill.errors import DrillError


def between(text: str, marker: str, content: str, page: str) -> str:
    """The text of `page` with what stands between the two comments of a marker replaced.

    Raises `DrillError` for a page that does not have each of the two once.
    """
    start, end = f"<!-- {marker} -->\n", f"<!-- /{marker} -->"
    if text.count(start) != 1 or text.count(end) != 1:
        raise DrillError(f"{page} needs the lines {start.strip()} and {end}, once each")
    head, _, rest = text.partition(start)
    return f"{head}{start}{content}\n{end}{rest.partition(end)[2]}"
