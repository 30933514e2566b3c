import pytest

from mnist_drill.cli import main


@pytest.mark.parametrize(
    ("arguments", "named"),
    [
        (["missing.py"], "missing.py"),
        (["missing.py:Network"], "missing.py"),
        (["file.py", "--rules", "clasic"], "drill, classic"),
        (["file.py", "--rules", "missing.toml"], "missing.toml"),
        (["file.py", "--seeds", "0"], "seeds"),
        ([".", "--first-seed", "3"], "first-seed"),
        (["large.py"], "large.py"),
        (["bad_recipe.py"], "bad_recipe.toml"),
        (["bytes.py"], "bytes.py"),
    ],
)
def test_bad_input_is_one_line_that_names_it(arguments, named, tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "file.py").write_text("network = None\n")
    (tmp_path / "large.py").write_text("#" * 1_000_001)
    (tmp_path / "bytes.py").write_bytes(b"\xff")
    (tmp_path / "bad_recipe.py").write_text("network = None\n")
    (tmp_path / "bad_recipe.toml").write_text('recipe_of = "stage4"\nepoch = 3\n')
    monkeypatch.setattr("sys.argv", ["mnist-drill", "judge", *arguments])
    with pytest.raises(SystemExit) as stop:
        main()
    message = capsys.readouterr().err
    assert stop.value.code == 2
    assert named in message
    assert message.count("\n") == 1
