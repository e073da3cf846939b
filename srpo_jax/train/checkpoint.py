# SPDX-License-Identifier: Apache-2.0
"""Checkpoints of everything that a run is, through Orbax, asynchronously.

A checkpoint is the training state, the ledger, the ids this epoch was built
from (`kept`), the rewards of the stage and the position. Beside it stands a
manifest with the digest of every file, written last: a checkpoint without one
was never finished, one whose files differ from it is damaged, and restoring
goes to the one before.

Of several hosts each writes what its devices hold, into one folder that all
see; the first one writes the manifest and says which checkpoint is restored.
All of them call the same methods in the same order.
"""

import dataclasses
import hashlib
import json
import logging
import os
import threading
from pathlib import Path

import jax
import numpy as np
import orbax.checkpoint as ocp

from srpo_jax.core import hosts
from srpo_jax.core.config import ConfigError
from srpo_jax.policy.policy import Params
from srpo_jax.srpo.history import Ledger
from srpo_jax.train.snapshot import Position, Snapshot
from srpo_jax.train.state import TrainState

UNFINISHED = 'it was never finished'
# The item of a checkpoint with the parameters of rollouts that lag behind.
DRAWN_WITH = 'drawn_with'


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
    options = ocp.CheckpointManagerOptions(
      max_to_keep=config.keep, create=True, cleanup_tmp_directories=True
    )
    self._manager = ocp.CheckpointManager(self._folder, options=options)
    self._sealer: threading.Thread | None = None
    self._failure: BaseException | None = None

  def save(self, snapshot: Snapshot) -> None:
    """Starts a checkpoint; it is written while training goes on.

    Raises:
      RuntimeError: hosts do not hold the same.
    """
    self.wait()
    check_agreement(snapshot)
    step = snapshot.position.step
    own = {'kept': snapshot.kept, 'rewards': snapshot.rewards}
    arrays = {**own, **snapshot.ledger.columns()}
    position = {
      'position': dataclasses.asdict(snapshot.position),
      'pending': snapshot.pending,
    }
    items = {
      'state': ocp.args.StandardSave(_owned(snapshot.state)),
      'history': ocp.args.StandardSave(_never_empty(arrays)),
      'position': ocp.args.JsonSave(position),
    }
    if snapshot.drawn_with is not None:
      # No update writes over them: they need no copy.
      items[DRAWN_WITH] = ocp.args.StandardSave(snapshot.drawn_with)
    args = ocp.args.Composite(**items)
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

  def restore(
    self, like: TrainState, say=print, drawn_with: Params | None = None
  ) -> Snapshot | None:
    """The newest sound checkpoint, laid out as `like`; None without any.

    Newer ones that are damaged or unfinished are named and deleted: training
    goes on from before them and will write them again.

    Args:
      like: a state, or its shapes, with the wanted shardings.
      say: called with one line for each checkpoint that is skipped.
      drawn_with: shapes and shardings of the parameters that the next
        rollouts are drawn with; None where they are the state's own.

    Raises:
      ConfigError: there are checkpoints, and none of them is sound.
    """
    # One host reads the files for all of them.
    sound, faults = hosts.from_first(hosts.on_first(self._look))
    if sound is not None:
      self._forget(faults, say)
      return self._restore(sound, like, drawn_with)
    if len(faults) > 1 or any(f != UNFINISHED for f in faults.values()):
      raise ConfigError(
        f'{self._folder}: no checkpoint is sound (step {max(faults)}: '
        f'{faults[max(faults)]}); copy the folder again, or start in a new '
        '--workdir'
      )
    # Killed while its first checkpoint was written: it starts anew.
    self._forget(faults, say)
    return None

  def _look(self) -> tuple[int | None, dict[int, str]]:
    """The newest sound step, and what is wrong with those after it."""
    faults = {}
    for step in sorted(self._manager.all_steps(), reverse=True):
      if (fault := find_fault(self._folder, step)) is None:
        return step, faults
      faults[step] = fault
    return None, faults

  def _forget(self, faults: dict[int, str], say) -> None:
    for step, fault in faults.items():
      say(f'checkpoint {step} is skipped: {fault}')
      self._manager.delete(step)
      hosts.on_first(manifest(self._folder, step).unlink, True)

  def _restore(self, step, like, drawn_with) -> Snapshot:
    abstract = jax.tree.map(ocp.utils.to_shape_dtype_struct, like)
    items = {
      'state': ocp.args.StandardRestore(abstract),
      'history': ocp.args.StandardRestore(),
      'position': ocp.args.JsonRestore(),
    }
    # Before the first step, and after the last, there are none.
    if drawn_with is not None and self._has(step, DRAWN_WITH):
      items[DRAWN_WITH] = ocp.args.StandardRestore(drawn_with)
    args = ocp.args.Composite(**items)
    restored = self._manager.restore(step, args=args)
    own, ledger = split_history(restored.history)
    return Snapshot(
      state=restored.state,
      ledger=ledger,
      **own,
      position=Position(**restored.position['position']),
      pending=restored.position['pending'],
      drawn_with=restored.get(DRAWN_WITH),
    )

  def _has(self, step: int, item: str) -> bool:
    return (self._folder / str(step) / item).is_dir()

  def _seal(self, step: int) -> None:
    # Beside the training thread, so no host may be asked for anything here;
    # Orbax's own threads meet through the coordinator.
    try:
      # On the first host this is when all have written their parts.
      self._manager.wait_until_finished()
      hosts.on_first(self._write_manifest, step)
    except BaseException as error:  # handed to the training thread by wait()
      self._failure = error

  def _write_manifest(self, step: int) -> None:
    text = json.dumps(_digests(self._folder / str(step)))
    _write_whole(manifest(self._folder, step), text)
    self._drop_stale_manifests()

  def _drop_stale_manifests(self) -> None:
    steps = set(self._manager.all_steps())
    for path in self._folder.glob('*.sha256.json'):
      if int(path.name.split('.')[0]) not in steps:
        path.unlink()


def check_agreement(snapshot: Snapshot) -> None:
  """Ends a run whose hosts have come apart; nothing on one host.

  Raises:
    RuntimeError: names what differs, and on which host.
  """
  if hosts.count() == 1:
    return
  held = {
    'position': json.dumps(dataclasses.asdict(snapshot.position)).encode(),
    'kept': snapshot.kept.tobytes(),
    'rewards': snapshot.rewards.tobytes(),
  }
  for name, column in snapshot.ledger.columns().items():
    held[f'ledger/{name}'] = column.tobytes()
  digests = {name: hashlib.sha256(x).digest() for name, x in held.items()}
  first, *others = hosts.gather(digests)
  for host, other in enumerate(others, start=1):
    odd = [name for name in first if first[name] != other[name]]
    if odd:
      raise RuntimeError(
        f'after step {snapshot.position.step} host {host} has another '
        f'{odd[0]} than host 0: no checkpoint is written'
      )


def split_history(
  restored: dict[str, np.ndarray],
) -> tuple[dict[str, np.ndarray], Ledger]:
  """`kept` and `rewards`, and the ledger, of a checkpoint's history."""
  arrays = _unpad({k: np.asarray(v) for k, v in restored.items()})
  own = {name: arrays.pop(name) for name in ('kept', 'rewards')}
  return own, Ledger(**arrays)


def manifest(folder: Path, step: int) -> Path:
  """Where the digests of a checkpoint's files stand."""
  return folder / f'{step}.sha256.json'


def find_fault(folder: Path, step: int) -> str | None:
  """What is wrong with a checkpoint; None if it is sound."""
  path = manifest(folder, step)
  if not path.exists():
    return UNFINISHED
  try:
    wanted = json.loads(path.read_text())
  except ValueError:
    return f'{path} is damaged'
  found = _digests(folder / str(step))
  for name in sorted({*found, *wanted}):
    if found.get(name) != wanted.get(name):
      return f'{folder / str(step) / name} is damaged'
  return None


def newest_sound(folder: Path) -> Path | None:
  """The newest sound checkpoint of a folder of them; None without any."""
  steps = sorted(int(p.name) for p in folder.iterdir() if p.name.isdigit())
  for step in reversed(steps):
    if find_fault(folder, step) is None:
      return folder / str(step)
  return None


def _write_whole(path: Path, text: str) -> None:
  """All of it or nothing, also after a loss of power."""
  partial = path.with_suffix('.partial')
  with partial.open('w') as file:
    file.write(text)
    file.flush()
    os.fsync(file.fileno())
  partial.replace(path)


def _owned(state: TrainState) -> TrainState:
  """A state that no later step can overwrite.

  On a CPU Orbax may write from the very buffers that the next update is
  given to reuse (they are donated), so it gets a copy. Elsewhere it has moved
  them to the host before `save` returns, and a copy would only cost memory.
  """
  platform = next(iter(state.step.devices())).platform
  if platform != 'cpu':
    return state
  return jax.tree.map(lambda x: x.copy(), state)


def _digests(folder: Path) -> dict[str, str]:
  """Path in the checkpoint -> SHA-256."""
  digests = {}
  for path in sorted(folder.rglob('*')):
    if path.is_file():
      with path.open('rb') as file:
        digest = hashlib.file_digest(file, 'sha256')
      digests[str(path.relative_to(folder))] = digest.hexdigest()
  return digests


def _never_empty(arrays: dict[str, np.ndarray]) -> dict[str, np.ndarray]:
  """Orbax does not write arrays without elements: one row goes in front."""
  pad = lambda x: np.concatenate([np.zeros((1, *x.shape[1:]), x.dtype), x])
  return {name: pad(x) for name, x in arrays.items()}


def _unpad(arrays: dict[str, np.ndarray]) -> dict[str, np.ndarray]:
  return {name: x[1:] for name, x in arrays.items()}
