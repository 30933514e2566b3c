"""What a submission's process opens; each case in a process of its own, since an audit hook stays for good."""

import json
import subprocess
import sys

PROGRAM = """
import json, sys
from mnist_drill.judge.watching import Outside

folder, file, code = sys.argv[1:]
outside = Outside([folder], folder + "/home", file)
with outside.watch():
    try:
        exec(compile(code, file, "exec"))
    except (SyntaxError, OSError) as error:
        print(json.dumps([type(error).__name__, outside.seen]))
"""


def opened(tmp_path, code):
    """The error that a submission's file ends in, and what was noted, where all files of its folder are closed."""
    file = tmp_path / "network.py"
    file.write_text(code)
    (tmp_path / "other.py").write_text("another one's\n")
    command = [sys.executable, "-c", PROGRAM, tmp_path, file, code]
    return json.loads(subprocess.run(command, capture_output=True, text=True, check=True).stdout)


def test_python_itself_may_open_the_file_to_show_the_line_of_a_syntax_error(tmp_path):
    assert opened(tmp_path, "def network(:\n    pass\n") == ["SyntaxError", []]


def test_another_file_of_the_class_is_noted_and_not_opened(tmp_path):
    other = str(tmp_path / "other.py")
    assert opened(tmp_path, f"open({other!r})") == ["PermissionError", [f"opens {other}"]]
