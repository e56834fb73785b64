"""`BackupAndRestore`: a run that is killed goes on where it was when it is started again."""

from __future__ import annotations

import logging
import os
from collections.abc import Mapping
from contextlib import suppress
from pathlib import Path
from typing import Any, ClassVar

from dougong.core.errors import ConfigError, ModelFormatError, ShapeError
from dougong.training.callbacks.callback import Callback
from dougong.training.run_state import put_back, random_states, set_random_states, taken

__all__ = ["BackupAndRestore"]

_log = logging.getLogger("dougong")


class BackupAndRestore(Callback):
    """Save the whole run after every epoch, or every ``save_freq`` batches; the next `fit` of the script goes on there.

    Saved are weights, optimizer, schedules and averages, metrics, random streams, the position in the data, and the
    state of the other callbacks (`Callback.state_dict`).  A run killed anywhere and started again by the same script
    ends with the same bits as one that was never killed; generators are read again up to their place.

    ``backup_dir`` is made if missing.  Writing is atomic; ``double_checkpoint`` keeps the previous backup too, for a
    disk that loses one.  With ``delete_checkpoint`` what was written is removed when training ends; after Ctrl-C it
    stays.  ``save_freq=False`` only restores.
    Raises: ConfigError if the backup is of another model, ModelFormatError if it is damaged.
    Keras: the same arguments; it restores weights, optimizer and epoch only, and removes all of ``backup_dir``.
    """

    hears_last: ClassVar[bool] = True  # so that what the others decide is saved, and put back after they began anew

    def __init__(
        self,
        backup_dir: str | os.PathLike[str],
        save_freq: str | int = "epoch",
        double_checkpoint: bool = False,
        delete_checkpoint: bool = True,
    ) -> None:
        super().__init__()
        if not os.fspath(backup_dir):
            raise ConfigError("backup_dir is empty; name a folder for the backup")
        if save_freq is not False and save_freq != "epoch" and (not isinstance(save_freq, int) or save_freq < 1):
            raise ConfigError(f"save_freq must be 'epoch' or a number of batches, got {save_freq!r}")
        self.backup_dir, self.save_freq = Path(backup_dir), save_freq
        self.double_checkpoint, self.delete_checkpoint = double_checkpoint, delete_checkpoint
        self._latest, self._previous = self.backup_dir / "latest.run", self.backup_dir / "previous.run"
        self.neighbours: list[Any] = []  # all callbacks of the run, this one among them
        self._control: Any = None
        self._step: Any = None
        self._saved: tuple[Mapping[str, Any], Mapping[str, Any]] | None = None
        self._epoch = self._batches = 0
        self._epoch_began: Mapping[str, Any] = {}
        if save_freq is not False and isinstance(save_freq, int):
            self.on_train_batch_end = self._count_batch  # only then is every step reported

    def state_dict(self) -> dict[str, Any]:
        return {"batches": self._batches, "epoch_began": self._epoch_began}

    def load_state_dict(self, state: Mapping[str, Any]) -> None:
        self._batches, self._epoch_began = int(state["batches"]), state["epoch_began"]

    # ── Taking up a run: the loop asks ──────────────────────────────────────────────────────────────────────────────

    def on_train_begin(self, logs: dict[str, Any] | None = None) -> None:
        self._saved = self._read()
        self._batches, self._epoch_began = 0, {}

    def resume(self, epochs: range, source: Any, control: Any) -> tuple[range, int]:
        """The epochs still to do, and the steps that the first of them has behind it; the state is put back."""
        self._control = control
        if self._saved is None:
            return epochs, 0
        epoch, step = self._saved[1]["epoch"], self._saved[1]["step"]
        _log.warning("going on with the run in %s: epoch %d, step %d", self.backup_dir, epoch + 1, step + 1)
        source.advance(range(epochs.start, epoch))
        self._put_back()
        if not step:
            self._saved = None
        if self.model.stop_training:
            return range(epoch, epoch), 0
        return range(epoch, max(epoch, epochs.stop)), step

    def on_epoch_begin(self, epoch: int, logs: dict[str, Any] | None = None) -> None:
        self._epoch = epoch
        if self._saved is not None:  # taken up in the middle: its data begin with the streams as they were then
            set_random_states(self.model, self._epoch_began)
        elif self.save_freq != "epoch":
            self._epoch_began = random_states(self.model)

    def follow(self, step: Any) -> None:
        """``step`` runs the epoch; if the run was taken up in its middle, the data are now at their place."""
        self._step = step
        if self._saved is not None:
            self._put_back()
            self._saved = None

    def _put_back(self) -> None:
        assert self._saved is not None
        try:
            put_back(self.model, self._step, self.neighbours, *self._saved)
        except (ConfigError, ShapeError) as error:
            raise ConfigError(
                f"{self._latest} is the backup of another run: {error}; delete {self.backup_dir}, or name another one"
            ) from error

    def _read(self) -> tuple[Mapping[str, Any], Mapping[str, Any]] | None:
        """The latest backup, or the previous one where that is missing or damaged."""
        found: ModelFormatError | None = None
        for path in (self._latest, self._previous):
            if path.exists():
                try:
                    return type(self.model).files.load_run(path)
                except ModelFormatError as error:
                    _log.warning("%s", error)
                    found = found or error
        if found is not None:
            raise ModelFormatError(f"{found}; delete {self.backup_dir} to begin the run anew") from found
        return None

    # ── Saving ──────────────────────────────────────────────────────────────────────────────────────────────────────

    def _count_batch(self, batch: int, logs: dict[str, Any] | None = None) -> None:
        self._batches += 1
        if self._batches % int(self.save_freq) == 0:
            self._save(self._epoch, batch + 1)

    def on_epoch_end(self, epoch: int, logs: dict[str, Any] | None = None) -> None:
        if self.save_freq == "epoch" and not self._interrupted:
            self._save(epoch + 1, 0)

    @property
    def _interrupted(self) -> bool:
        return self._control is not None and self._control.interruption.requested

    def _save(self, epoch: int, step: int) -> None:
        arrays, notes = taken(self.model, self._step, self.neighbours)
        notes |= {"epoch": epoch, "step": step}
        self.backup_dir.mkdir(parents=True, exist_ok=True)
        if self.double_checkpoint and self._latest.exists():
            self._latest.replace(self._previous)
        type(self.model).files.save_run(self._latest, arrays, notes)

    def on_train_end(self, logs: dict[str, Any] | None = None) -> None:
        if self.delete_checkpoint and not self._interrupted:
            halves = self.backup_dir.glob(".latest.run.*.part")  # of a process that was killed while it wrote
            for path in (self._latest, self._previous, *halves):
                path.unlink(missing_ok=True)
            with suppress(OSError):  # other files are not ours to delete
                self.backup_dir.rmdir()
        self._control, self._step, self._saved = None, None, None
