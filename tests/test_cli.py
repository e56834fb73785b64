"""The command line: what it prints, its exit codes, and that help loads nothing heavy."""

from __future__ import annotations

import os
import re
import subprocess
import sys
import time
from pathlib import Path

import pytest

from dougong.cli import main
from dougong.cli.show import in_options


def _run(capsys: pytest.CaptureFixture[str], *arguments: str) -> tuple[int, str, str]:
    """(exit code, standard output, standard error)."""
    with pytest.raises(SystemExit) as stopped:
        main(arguments)
    out, err = capsys.readouterr()
    return int(stopped.value.code or 0), out, err


def _python(*arguments: str, **environment: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, *arguments], capture_output=True, text=True, check=False, env=os.environ | environment
    )


@pytest.fixture(autouse=True)
def _wide(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("COLUMNS", "160")
    monkeypatch.setenv("TERM", "dumb")
    monkeypatch.delenv("DOUGONG_TRACEBACK", raising=False)
    monkeypatch.chdir(tmp_path)


@pytest.mark.parametrize("arguments", [["--help"], ["samples", "--help"], ["train", "--help"], ["--version"]])
def test_help_loads_nothing_heavy(arguments: list[str]) -> None:
    program = (
        "import sys\nfrom dougong.cli import main\n"
        f"try:\n    main({arguments!r})\nexcept SystemExit as stopped:\n    assert stopped.code == 0, stopped.code\n"
        "heavy = sorted({'torch', 'numpy', 'pandas', 'sklearn', 'matplotlib', 'PIL'} & set(sys.modules))\n"
        "print('heavy:', heavy)"
    )
    done = _python("-c", program)
    assert done.returncode == 0, done.stderr
    assert done.stdout.endswith("heavy: []\n"), done.stdout


@pytest.mark.slow
def test_help_answers_within_300_ms() -> None:
    def seconds() -> float:
        started = time.perf_counter()
        _python("-m", "dougong", "--help")
        return time.perf_counter() - started

    assert min(seconds() for _ in range(5)) < 0.3


def test_python_minus_m() -> None:
    done = _python("-m", "dougong", "--version")
    assert done.returncode == 0 and re.match(r"dougong \d+\.\d+\.\d+ \(torch .*, Python 3\.\d+\.\d+\)\n", done.stdout)


def test_every_command_has_an_example(capsys: pytest.CaptureFixture[str]) -> None:
    for command in ("samples", "train", "evaluate", "predict", "summary"):
        code, out, _ = _run(capsys, command, "--help")
        assert code == 0 and "Example: dougong " in out, command


def test_samples_are_listed(capsys: pytest.CaptureFixture[str]) -> None:
    code, out, _ = _run(capsys, "samples")
    lines = out.splitlines()
    assert code == 0 and lines[0].split()[0] == "name" and len(lines) == 6
    assert re.match(r"digits +1797  8×8×1 +10 classes +handwritten", lines[1])
    starts = {line.index(word) for line, word in zip(lines[1:4], ("handwritten", "three", "three"))}
    assert len(starts) == 1, "columns are aligned"


def test_train_evaluate_predict_summary(capsys: pytest.CaptureFixture[str]) -> None:
    code, out, _ = _run(capsys, "train", "mlp", "iris", "--epochs", "3", "--out", "runs/a", "--seed", "2")
    lines = out.splitlines()
    assert code == 0
    assert lines[0].startswith("iris: inputs of 4, 3 classes")
    assert any(line.split()[0] == "3/3" for line in lines)
    assert lines[-3] == "wrote runs/a: model.keras, history.csv, run.json, report.html"
    assert re.fullmatch(r"test accuracy \d+\.\d %", lines[-2])
    assert lines[-1] == (
        'dg.models.load_model("runs/a/model.keras").predict(x)   # executed: same outputs on 30 test samples'
    )
    run = Path("runs/a/run.json").read_text()
    assert '"command": "dougong train mlp iris --epochs 3 --seed 2 --out runs/a"' in run

    code, out, _ = _run(capsys, "evaluate", "runs/a/model.keras", "iris")
    assert code == 0 and out.startswith("150 samples (all samples)") and "test accuracy" in out
    code, out, _ = _run(capsys, "predict", "runs/a/model.keras", "iris", "-o", "p.csv")
    assert code == 0 and out == "wrote p.csv: 150 predictions\n"
    assert len(Path("p.csv").read_text().splitlines()) == 151
    code, out, _ = _run(capsys, "predict", "runs/a/model.keras", "iris")
    assert (
        code == 0 and out.endswith("150 predictions in all; -o FILE.csv writes them\n") and len(out.splitlines()) == 12
    )
    code, out, _ = _run(capsys, "summary", "runs/a/model.keras")
    assert code == 0 and "hidden_1 (Dense)" in out


def test_quiet_prints_the_results_only(capsys: pytest.CaptureFixture[str]) -> None:
    code, out, err = _run(capsys, "train", "mlp", "diabetes", "--epochs", "2", "-q")
    assert code == 0 and err == "" and len(out.splitlines()) == 2
    assert re.match(r"test R² -?\d\.\d+, test MSE \d", out) and Path("runs/mlp-diabetes/report.html").is_file()


def test_folders_are_never_overwritten(capsys: pytest.CaptureFixture[str]) -> None:
    for expected in ("r", "r-2", "r-3"):
        _, out, _ = _run(capsys, "train", "mlp", "iris", "--epochs", "1", "--out", "r", "-q")
        assert f'"{expected}/model.keras"' in out


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (["train", "lenet", "digits"], "unknown model 'lenet'; did you mean 'lenet5'?"),
        (["train", "mlp", "irsi"], "Did you mean 'iris'"),
        (["train", "mlp", "iris", "--optimizer", "adma"], "did you mean 'Adam"),
        (["train", "mlp", "iris", "--device", "warp"], "warp"),
        (["train", "mlp", "empty"], "no pictures"),
        (["train", "mlp", "holes.csv"], "leave these rows out with --skip-bad"),
        (["train", "mlp", "words.csv"], "too many"),
        (["train", "lenet5", "broken"], "bad.png"),
        (["train", "mlp", "iris", "--validation", "0.9"], "together below 1"),
        (["evaluate", "absent.keras", "iris"], "there is no model file 'absent.keras'"),
        (["summary", "damaged.keras"], "damaged.keras"),
        (["predict", "damaged.keras", "iris"], "damaged.keras"),
        (["summary", "net.py"], "is a program"),
    ],
)
def test_refusals_are_one_line_and_code_2(
    capsys: pytest.CaptureFixture[str], arguments: list[str], words: str, tmp_path: Path
) -> None:
    (tmp_path / "empty").mkdir()
    for name in ("a", "b"):
        (tmp_path / "broken" / name).mkdir(parents=True)
        (tmp_path / "broken" / name / "bad.png").write_bytes(b"\x89PNG\r\n\x1a\n cut")
    (tmp_path / "holes.csv").write_text("a,b,y\n" + "1.5,2.5,3.25\n" * 20 + "1.5,,3.75\n")
    (tmp_path / "words.csv").write_text("a,y\n" + "".join(f"word{i},{i * 0.37}\n" for i in range(90)))
    (tmp_path / "damaged.keras").write_bytes(b"PK\x03\x04 not really")
    (tmp_path / "net.py").write_text("raise SystemExit('must not run')")
    code, out, err = _run(capsys, *arguments)
    assert code == 2 and words in err and "Traceback" not in err + out
    lines = err.splitlines()
    assert lines[0].startswith("error: ") and lines[-1] == "  (--traceback shows where in the program this arose)"
    assert not (tmp_path / "runs").exists()


@pytest.mark.parametrize("where", ["before", "behind", "environment"])
def test_the_traceback_can_be_seen(where: str, monkeypatch: pytest.MonkeyPatch) -> None:
    from dougong.core.errors import UnknownNameError

    arguments = ["train", "lenet", "iris"]
    if where == "environment":
        monkeypatch.setenv("DOUGONG_TRACEBACK", "1")
    else:
        arguments = ["--traceback", *arguments] if where == "before" else [*arguments, "--traceback"]
    with pytest.raises(UnknownNameError):
        main(arguments)


def test_a_bug_keeps_its_traceback(monkeypatch: pytest.MonkeyPatch) -> None:
    def fails(*_: object) -> None:
        raise RuntimeError("a bug")

    monkeypatch.setattr("dougong.workbench.summary", fails)
    with pytest.raises(RuntimeError, match="a bug"):
        main(["summary", "x.keras"])


def test_ctrl_c_is_130(capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> None:
    def stopped(*_: object) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr("dougong.workbench.train", stopped)
    code, _, err = _run(capsys, "train", "mlp", "iris")
    assert code == 130 and "Traceback" not in err


@pytest.mark.skipif(os.name == "nt", reason="signals are POSIX's")
def test_ctrl_c_in_training_keeps_the_best_weights_and_writes_all() -> None:
    import signal

    command = [sys.executable, "-m", "dougong", "train", "mlp", "iris", "--epochs", "100000", "--out", "r"]
    process = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
    assert process.stdout is not None
    seen = ""
    for line in process.stdout:
        seen += line
        if "/100000 " in line and " 1/" not in line:
            break
    process.send_signal(signal.SIGINT)
    rest, errors = process.communicate(timeout=60)
    assert process.returncode == 130, errors
    assert "stopped by Ctrl-C" in seen + rest and "test accuracy" in rest and "Traceback" not in errors
    assert sorted(path.name for path in Path("r").iterdir()) == [
        "history.csv",
        "model.keras",
        "report.html",
        "run.json",
    ]


def test_wrong_usage_is_code_2(capsys: pytest.CaptureFixture[str]) -> None:
    for arguments in (
        "train mlp",
        "trian mlp iris",
        "train mlp iris --epochs many",
        "train mlp iris --image-size big",
        "train mlp iris --image-size 0",
    ):
        code, _, err = _run(capsys, *arguments.split())
        assert code == 2 and err, arguments


def test_python_words_become_options() -> None:
    assert in_options("pass skip_bad=True or ignore=['a b'], say task='regression'; target=.") == (
        "pass --skip-bad or --ignore a b, say --task regression; --target."
    )
    assert in_options("try batch_size=16 instead of 32") == "try --batch-size 16 instead of 32"
