"""The report: its numbers against scikit-learn and hand counts, its HTML self-contained, its extremes."""

from __future__ import annotations

import base64
import re
import xml.etree.ElementTree as ElementTree
from html.parser import HTMLParser
from pathlib import Path

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from sklearn import metrics as peers

from closeness import close
from dougong.core.errors import SaveError
from dougong.workbench import plots, scores
from dougong.workbench.report import Report, render, write_report
from dougong.workbench.runs import history_csv
from dougong.workbench.storage import new_folder, write_text


def _classes(num: int = 60, classes: int = 4, seed: int = 0) -> tuple[np.ndarray, np.ndarray]:
    random = np.random.default_rng(seed)
    labels = random.integers(0, classes, num)
    return labels, scores.as_probabilities(
        np.eye(classes)[labels] * 2 + random.normal(size=(num, classes)), logits=True
    )


def _report(task: str = "classification", **changes: object) -> Report:
    labels, probabilities = _classes()
    history = {"loss": [1.0, 0.5, 0.25], "accuracy": [0.5, 0.7, 0.9], "val_loss": [1.1, 0.6, 0.7]}
    settings = {
        "title": "MLP on <b>bolts</b> & nuts",
        "subtitle": "dougong train mlp bolts.csv",
        "task": task,
        "history": history,
        "y_true": labels if task == "classification" else np.linspace(0, 1, 60)[:, None],
        "y_pred": probabilities if task == "classification" else np.linspace(0.1, 0.8, 60)[:, None],
        "names": ["a", "b", "c", "d"] if task == "classification" else ["weight"],
        "inputs": np.random.default_rng(1).normal(size=(60, 3)),
    }
    return Report(**(settings | changes))  # type: ignore[arg-type]


class _Page(HTMLParser):
    """Collects addresses, and checks that every tag is closed."""

    def __init__(self, page: str) -> None:
        super().__init__()
        self.addresses: list[str] = []
        self.open: list[str] = []
        self.tags: list[str] = []
        self.feed(page)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append(tag)
        self.addresses += [value or "" for name, value in attrs if name in ("src", "href", "data", "action")]
        if tag not in ("meta", "img", "br", "link"):
            self.open.append(tag)

    def handle_endtag(self, tag: str) -> None:
        assert self.open.pop() == tag


@pytest.mark.parametrize("task", ["classification", "regression"])
def test_page_is_whole_and_fetches_nothing(task: str) -> None:
    page = render(_report(task))
    parsed = _Page(page)
    assert not parsed.open
    assert parsed.addresses and all(address.startswith("data:image/") for address in parsed.addresses)
    assert "script" not in parsed.tags and "link" not in parsed.tags
    assert not re.search(r"url\(|@import|https?://", re.sub(r'src="data:[^"]*"', "", page))
    assert "$" not in re.sub(r'src="data:[^"]*"', "", page), "a field of the template was left open"


def test_users_words_are_escaped() -> None:
    page = render(_report(names=["<script>", "b&c", '"', "d"], notes=["1 < 2"]))
    assert "<script>" not in page and "&lt;script&gt;" in page
    assert "MLP on &lt;b&gt;bolts&lt;/b&gt; &amp; nuts" in page and "1 &lt; 2" in page


def test_same_report_same_bytes() -> None:
    assert render(_report()) == render(_report())


def test_every_picture_is_readable() -> None:
    pictures = np.random.default_rng(0).integers(0, 256, (60, 5, 7, 3)).astype(np.uint8)
    kinds = set()
    for address in _Page(render(_report(inputs=pictures))).addresses:
        kind, _, body = address.partition(";base64,")
        kinds.add(kind)
        raw = base64.b64decode(body, validate=True)
        if kind == "data:image/svg+xml":
            assert ElementTree.fromstring(raw).tag.endswith("svg")
        else:
            assert raw.startswith(b"\x89PNG")
    assert kinds == {"data:image/svg+xml", "data:image/png"}


def test_worst_samples_are_named_with_their_place() -> None:
    labels, probabilities = np.array([0, 1, 1]), np.array([[0.9, 0.1], [0.99, 0.01], [0.4, 0.6]])
    page = render(
        _report(
            y_true=labels, y_pred=probabilities, names=["no", "yes"], inputs=np.ones((3, 2)), sample_numbers=[7, 8, 9]
        )
    )
    rows = re.findall(r"<tr><td>(\d+)</td><td>(\w+)</td><td>(.*?)</td>", page)
    assert rows == [("8", "yes", "no (99\N{NO-BREAK SPACE}%)"), ("9", "yes", "yes (60\N{NO-BREAK SPACE}%)"),
                    ("7", "no", "no (90\N{NO-BREAK SPACE}%)")]  # fmt: skip


@pytest.mark.parametrize(
    "changes",
    [
        {"history": {}},
        {"history": {"loss": [float("nan")], "val_loss": [float("inf")]}},
        {"history": {"loss": [0.0]}},
        {"inputs": np.zeros((60, 4, 4, 1, 2))},
        {"inputs": np.zeros((60, 8, 8))},
        {"y_true": np.zeros(60, dtype=int)},
        {"y_true": np.zeros(1, dtype=int), "y_pred": np.ones((1, 4)) / 4, "inputs": np.zeros((1, 2))},
        {"names": [f"a very long name of a class, number {k}" for k in range(4)]},
        {"task": "regression", "names": ["y"], "y_true": np.ones((60, 1)), "y_pred": np.ones((60, 1))},
        {"task": "regression", "names": "y",
         "y_true": np.ones((1, 1)), "y_pred": np.ones((1, 1)), "inputs": np.ones((1, 2))},
        {"task": "regression", "names": list("abcdef"), "y_true": np.ones((60, 6)), "y_pred": np.zeros((60, 6))},
    ],
)  # fmt: skip
def test_extremes_still_give_a_page(changes: dict[str, object]) -> None:
    assert not _Page(render(_report(**({"task": "classification"} | changes)))).open  # type: ignore[arg-type]


def test_many_classes_and_many_points() -> None:
    labels, probabilities = _classes(500, 60)
    page = render(_report(y_true=labels, y_pred=probabilities, names=[f"class {k}" for k in range(60)],
                          inputs=np.zeros((500, 2))))  # fmt: skip
    assert len(page) < 1_500_000
    truth = np.random.default_rng(0).normal(size=(20_000, 1))
    page = render(_report("regression", y_true=truth, y_pred=truth + 0.1, inputs=np.zeros((20_000, 2))))
    assert len(page) < 1_500_000, "many points are drawn as pixels"


def test_one_curve_for_two_classes_and_areas_as_scikit_learn() -> None:
    labels, probabilities = _classes(80, 2)
    (axes,) = plots.roc(labels, probabilities, ["no", "yes"]).axes
    texts = [text.get_text() for text in axes.get_legend().get_texts()]  # type: ignore[union-attr]
    assert texts == [f"yes: AUC {peers.roc_auc_score(labels, probabilities[:, 1]):.3f}"]


def test_the_best_epoch_is_marked_from_one() -> None:
    history = {"loss": [3.0, 2.0, 1.0], "val_loss": [3.0, 1.5, 2.0]}
    (axes,) = plots.learning_curves(history).axes
    assert any("epoch 2" in text.get_text() for text in axes.get_legend().get_texts())  # type: ignore[union-attr]
    assert axes.get_xlabel() == "epoch" and axes.get_ylabel() == "loss" and axes.get_title(loc="left") == "Loss"


def test_no_global_figure_is_made() -> None:
    import sys

    if "matplotlib.pyplot" not in sys.modules:
        render(_report())
        assert "matplotlib.pyplot" not in sys.modules


# ── Scores ──────────────────────────────────────────────────────────────────────────────────────────────────────────


def test_scores_are_scikit_learns() -> None:
    labels, probabilities = _classes(200, 5)
    found = scores.score("classification", labels, probabilities)
    close(found["accuracy"], peers.accuracy_score(labels, probabilities.argmax(1)), because="accuracy")
    close(found["cross_entropy"], peers.log_loss(labels, probabilities), because="cross-entropy")
    random = np.random.default_rng(0)
    truth, guess = random.normal(size=(50, 3)) * [1, 10, 100], random.normal(size=(50, 3))
    found = scores.score("regression", truth, guess)
    close(found["r2"], peers.r2_score(truth, guess), because="R² of several targets is their mean")
    close(found["mse"], peers.mean_squared_error(truth, guess), because="MSE")
    close(found["mae"], peers.mean_absolute_error(truth, guess), because="MAE")


@settings(max_examples=50, deadline=None)
@given(st.lists(st.lists(st.floats(-50, 50), min_size=3, max_size=3), min_size=1, max_size=8))
def test_logits_and_their_softmax_are_one(logits: list[list[float]]) -> None:
    probabilities = scores.as_probabilities(np.array(logits), logits=True)
    close(probabilities.sum(axis=1), np.ones(len(logits)), because="probabilities sum to 1")
    close(scores.as_probabilities(probabilities), probabilities, because="probabilities stay as they are", tolerance=0)
    want = torch.softmax(torch.tensor(logits, dtype=torch.float64), dim=1)
    close(probabilities, want, because="softmax", tolerance=1e-12)


def test_one_sigmoid_column_and_one_hot_targets() -> None:
    close(scores.as_probabilities(np.array([[0.2], [0.9]])), [[0.8, 0.2], [0.1, 0.9]], because="one sigmoid unit")
    logit = scores.as_probabilities(np.array([[0.0], [700.0], [-800.0]]), logits=True)
    close(logit, [[0.5, 0.5], [0.0, 1.0], [1.0, 0.0]], because="one logit, however large")
    found = scores.score("classification", np.array([[1, 0], [0, 1]]), np.array([[0.2], [0.9]]))
    assert found["accuracy"] == 1.0


def test_constant_targets_have_no_r2() -> None:
    found = scores.score("regression", np.ones((4, 1)), np.zeros((4, 1)))
    assert np.isnan(found["r2"]) and found["mse"] == 1.0
    assert scores.headline("regression", found) == "test R² nan, test MSE 1"


def test_worst_counts_targets_in_their_own_deviations() -> None:
    truth = np.array([[0.0, 0.0], [1.0, 1000.0], [2.0, 2000.0]])
    guess = truth + np.array([[0.0, 0.0], [0.5, 0.0], [0.0, 100.0]])
    assert scores.worst("regression", truth, guess, most=2).tolist() == [1, 2]


def test_confusion_has_rows_of_truth() -> None:
    matrix, rows = scores.class_scores(np.array([0, 0, 1]), np.array([[0.9, 0.1], [0.1, 0.9], [0.2, 0.8]]), ["x", "y"])
    assert matrix.tolist() == [[1, 1], [0, 1]]
    assert (rows[0].precision, rows[0].recall, rows[1].precision, rows[1].recall) == (1.0, 0.5, 0.5, 1.0)


# ── Files ───────────────────────────────────────────────────────────────────────────────────────────────────────────


def test_a_folder_with_content_gets_a_numbered_sibling(tmp_path: Path) -> None:
    wanted = tmp_path / "runs" / "one"
    assert new_folder(wanted) == wanted
    assert new_folder(wanted) == wanted, "an empty folder is used"
    (wanted / "model.keras").touch()
    assert [new_folder(wanted).name for _ in range(2)] == ["one-2", "one-3"]


def test_a_file_in_the_way(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    with pytest.raises(SaveError, match="cannot make the folder"):
        new_folder(tmp_path / "file" / "below")


def test_text_is_written_whole_or_not_at_all(tmp_path: Path) -> None:
    path = tmp_path / "a.csv"
    write_text(path, "old\n")
    with pytest.raises(SaveError):
        write_text(tmp_path / "absent" / "a.csv", "x")
    write_text(path, "1×2\r\n")
    assert path.read_bytes() == "1×2\r\n".encode()
    assert [entry.name for entry in tmp_path.iterdir()] == ["a.csv"]
    with pytest.raises(SaveError):
        write_report(tmp_path / "absent" / "report.html", _report())


def test_history_of_nothing() -> None:
    assert history_csv({}) == "epoch\n"
