# SPDX-License-Identifier: Apache-2.0
"""Checkpoints of everything that a run is, through Orbax, asynchronously.

A checkpoint is the training state, the ledger, the ids this epoch was built
from (`kept`) and the position. Beside it stands a manifest with the digest of
every file, written last: a checkpoint without one was never finished, one
whose files differ from it is damaged, and restoring goes to the one before.
"""

import dataclasses
import hashlib
import json
import logging
import threading
from pathlib import Path

import jax
import numpy as np
import orbax.checkpoint as ocp

from srpo_jax.srpo.history import Ledger
from srpo_jax.train.state import TrainState


@dataclasses.dataclass(frozen=True)
class Position:
  """Where a run stands, after `step` updates.

  Attributes:
    step: updates made in the run.
    stage: index of the stage.
    stage_step: updates made in this stage.
    epoch: passes completed in this stage.
    batch: batches done in the running epoch.
  """

  step: int = 0
  stage: int = 0
  stage_step: int = 0
  epoch: int = 0
  batch: int = 0


@dataclasses.dataclass(frozen=True)
class Snapshot:
  """What a checkpoint holds: all that the loop owns.

  Attributes:
    state: step, parameters, optimizer state.
    ledger: every group asked so far.
    kept: ids that the running epoch was built from.
    position: where the run stands.
    pending: numbers of the last step whose line is not written yet, because
      its evaluation is still to come; empty once it is.
  """

  state: TrainState
  ledger: Ledger
  kept: np.ndarray
  position: Position
  pending: dict[str, float] = dataclasses.field(default_factory=dict)


@dataclasses.dataclass(frozen=True)
class CheckpointConfig:
  """How often and how many.

  Attributes:
    every: steps between checkpoints.
    keep: how many are kept.
  """

  every: int = 20
  keep: int = 3


class Checkpoints:
  """The checkpoints of a workdir."""

  def __init__(self, workdir: Path, config: CheckpointConfig):
    self._folder = Path(workdir).absolute() / 'checkpoints'
    self._config = config
    # Orbax warns of what does not concern a single item's name.
    logging.getLogger('absl').setLevel(logging.ERROR)
    options = ocp.CheckpointManagerOptions(max_to_keep=config.keep, create=True)
    self._manager = ocp.CheckpointManager(self._folder, options=options)
    self._sealer: threading.Thread | None = None
    self._failure: BaseException | None = None

  def save(self, snapshot: Snapshot) -> None:
    """Starts a checkpoint; it is written while training goes on."""
    self.wait()
    step = snapshot.position.step
    arrays = {'kept': snapshot.kept, **snapshot.ledger.columns()}
    position = {
      'position': dataclasses.asdict(snapshot.position),
      'pending': snapshot.pending,
    }
    args = ocp.args.Composite(
      state=ocp.args.StandardSave(_owned(snapshot.state)),
      history=ocp.args.StandardSave(_never_empty(arrays)),
      position=ocp.args.JsonSave(position),
    )
    self._manager.save(step, args=args, force=True)
    self._sealer = threading.Thread(target=self._seal, args=(step,))
    self._sealer.start()

  def maybe_save(self, snapshot: Snapshot) -> None:
    """Saves if the step is one of those `every` asks for."""
    if snapshot.position.step % self._config.every == 0:
      self.save(snapshot)

  def save_once(self, snapshot: Snapshot) -> None:
    """Saves and waits, unless the newest checkpoint is of this very step."""
    if self.latest() != snapshot.position.step:
      self.save(snapshot)
    self.wait()

  def wait(self) -> None:
    """Until the running checkpoint is on disk and sealed.

    Raises:
      Whatever its writing raised.
    """
    if self._sealer:
      self._sealer.join()
      self._sealer = None
    if self._failure:
      failure, self._failure = self._failure, None
      raise failure

  def close(self) -> None:
    """Waits, then lets go of Orbax's threads."""
    self.wait()
    self._manager.close()

  def latest(self) -> int | None:
    """The step of the newest checkpoint, sound or not."""
    return self._manager.latest_step()

  def restore(self, like: TrainState, say=print) -> Snapshot | None:
    """The newest sound checkpoint, laid out as `like`; None without any.

    Newer ones that are damaged or unfinished are named and deleted: training
    goes on from before them and will write them again.

    Args:
      like: a state with the wanted shapes and shardings.
      say: called with one line for each checkpoint that is skipped.
    """
    for step in sorted(self._manager.all_steps(), reverse=True):
      fault = self._fault(step)
      if fault is None:
        return self._restore(step, like)
      say(f'checkpoint {step} is skipped: {fault}')
      self._manager.delete(step)
      self._manifest(step).unlink(missing_ok=True)
    return None

  def _restore(self, step: int, like: TrainState) -> Snapshot:
    abstract = jax.tree.map(ocp.utils.to_shape_dtype_struct, like)
    restored = self._manager.restore(
      step,
      args=ocp.args.Composite(
        state=ocp.args.StandardRestore(abstract),
        history=ocp.args.StandardRestore(),
        position=ocp.args.JsonRestore(),
      ),
    )
    arrays = _unpad({k: np.asarray(v) for k, v in restored.history.items()})
    kept = arrays.pop('kept')
    return Snapshot(
      state=restored.state,
      ledger=Ledger(**arrays),
      kept=kept,
      position=Position(**restored.position['position']),
      pending=restored.position['pending'],
    )

  def _seal(self, step: int) -> None:
    try:
      self._manager.wait_until_finished()
      manifest = self._manifest(step)
      partial = manifest.with_suffix('.partial')
      partial.write_text(json.dumps(_digests(self._folder / str(step))))
      partial.replace(manifest)
      self._drop_stale_manifests()
    except BaseException as error:  # handed to the training thread by wait()
      self._failure = error

  def _manifest(self, step: int) -> Path:
    return self._folder / f'{step}.sha256.json'

  def _drop_stale_manifests(self) -> None:
    steps = set(self._manager.all_steps())
    for path in self._folder.glob('*.sha256.json'):
      if int(path.name.split('.')[0]) not in steps:
        path.unlink()

  def _fault(self, step: int) -> str | None:
    manifest = self._manifest(step)
    if not manifest.exists():
      return 'it was never finished'
    found = _digests(self._folder / str(step))
    wanted = json.loads(manifest.read_text())
    wrong = [
      k for k in sorted({*found, *wanted}) if found.get(k) != wanted.get(k)
    ]
    if not wrong:
      return None
    return f'{self._folder / str(step) / wrong[0]} is damaged'


def _owned(state: TrainState) -> TrainState:
  """A copy that no later step can overwrite.

  On a CPU Orbax may write from the very buffers that the next update is
  given to reuse (they are donated).
  """
  return jax.tree.map(lambda x: x.copy(), state)


def _digests(folder: Path) -> dict[str, str]:
  """Path in the checkpoint -> SHA-256."""
  return {
    str(path.relative_to(folder)): hashlib.sha256(path.read_bytes()).hexdigest()
    for path in sorted(folder.rglob('*'))
    if path.is_file()
  }


def _never_empty(arrays: dict[str, np.ndarray]) -> dict[str, np.ndarray]:
  """Orbax does not write arrays without elements: one row goes in front."""
  pad = lambda x: np.concatenate([np.zeros((1, *x.shape[1:]), x.dtype), x])
  return {name: pad(x) for name, x in arrays.items()}


def _unpad(arrays: dict[str, np.ndarray]) -> dict[str, np.ndarray]:
  return {name: x[1:] for name, x in arrays.items()}
