"""The table of a class in a real browser: a click on a heading sorts it."""

from dataclasses import replace

import pytest

from mnist_drill.judge.classroom import Row, write_table
from mnist_drill.judge.rules import PRESETS
from tests.inside import browser
from tests.leaderboard.reports import full_report


@pytest.mark.slow
def test_a_click_on_a_heading_sorts_and_another_turns_the_order_round(tmp_path):
    reports = {"b.py": full_report(parameters=9904), "c.py": full_report(parameters=123, study="stage3")}
    rows = {file: Row(file, replace(report, name=file[0])) for file, report in reports.items()}
    rows["a.py"] = Row("a.py", full_report(parameters=50_000))
    rows["Empty.py"] = Row("Empty.py", None, "cannot read Empty.py")
    write_table(tmp_path, tmp_path, PRESETS["drill"], False, rows)
    driver = browser.start(tmp_path / "profile")
    try:
        driver.get((tmp_path / "index.html").as_uri())

        def sorted_by(column):
            (button,) = [x for x in driver.find_elements("css selector", "th button") if x.text == column]
            button.click()
            cells = driver.find_elements("css selector", "#class tbody tr td:first-child")
            heading = button.find_element("xpath", "..").get_attribute("aria-sort")
            return heading, [cell.text for cell in cells]

        # As numbers, not as text; what has none comes last either way.
        assert sorted_by("parameters") == ("ascending", ["c.py", "b.py", "a.py", "Empty.py"])
        assert sorted_by("parameters") == ("descending", ["a.py", "b.py", "c.py", "Empty.py"])
        assert sorted_by("submission") == ("ascending", ["a.py", "b.py", "c.py", "Empty.py"])
        assert sorted_by("submission") == ("descending", ["Empty.py", "c.py", "b.py", "a.py"])
        assert sorted_by("lowest accuracy")[1][0] == "c.py"
        others = driver.find_elements("css selector", "th:not([aria-sort=none])")
        assert len(others) == 1
        assert [entry for entry in driver.get_log("browser") if entry["level"] == "SEVERE"] == []
    finally:
        driver.quit()
