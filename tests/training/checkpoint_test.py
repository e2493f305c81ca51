import pathlib

import chex
import jax
import jax.numpy as jnp
import numpy as np
import pytest

from internal_diffusion.training import checkpoint
from internal_diffusion.training.checkpoint import CheckpointStore


def make_state(seed):
  return {
    'params': {'w': jax.random.normal(jax.random.key(seed), (300, 40))},
    'step': jnp.int32(seed),
  }


def save(directory, steps, keep=3):
  with CheckpointStore(directory, keep=keep) as store:
    for step in steps:
      store.save(step, make_state(step), seconds=step / 2)


def largest_file(directory):
  files = [p for p in pathlib.Path(directory).rglob('*') if p.is_file()]
  return max(files, key=lambda p: p.stat().st_size)


def test_restores_the_newest_bit_for_bit(tmp_path):
  save(tmp_path, [1, 2, 3])
  with CheckpointStore(tmp_path) as store:
    restored = store.restore(make_state(0))
  assert (restored.step, restored.seconds) == (3, 1.5)
  chex.assert_trees_all_equal(restored.state, make_state(3))


def test_keeps_the_newest(tmp_path):
  save(tmp_path, [10, 20, 30, 40], keep=2)
  with CheckpointStore(tmp_path) as store:
    assert store.steps == [30, 40]


def test_empty_folder_has_none(tmp_path):
  with CheckpointStore(tmp_path / 'new') as store:
    assert store.restore(make_state(0)) is None


def truncate(directory):
  path = largest_file(directory)
  path.write_bytes(path.read_bytes()[:100])


def flip_a_byte(directory):
  path = largest_file(directory)
  content = bytearray(path.read_bytes())
  content[len(content) // 2] ^= 0xFF
  path.write_bytes(content)


def remove_values(directory):
  largest_file(directory).unlink()


@pytest.mark.parametrize('damage', [truncate, flip_a_byte, remove_values])
def test_damage_falls_back_to_the_last_good_one_and_says_so(tmp_path, damage):
  save(tmp_path, [1, 2])
  damage(tmp_path / '2')
  with CheckpointStore(tmp_path) as store:
    with pytest.warns(UserWarning, match=r'step 2.*last good one, step 1'):
      restored = store.restore(make_state(0))
    assert restored.step == 1
    chex.assert_trees_all_equal(restored.state, make_state(1))
    # The run goes on and writes step 2 anew.
    store.delete_after(restored.step)
    store.save(2, make_state(2))
  with CheckpointStore(tmp_path) as store:
    assert store.restore(make_state(0)).step == 2


def test_half_written_checkpoint_is_not_one(tmp_path):
  save(tmp_path, [1])
  half = tmp_path / '2.orbax-checkpoint-tmp-1234'
  half.mkdir()
  (half / 'state').write_text('half')
  with CheckpointStore(tmp_path) as store:
    assert store.restore(make_state(0)).step == 1
  save(tmp_path, [2])  # Orbax tidies in the background, a save waits for it.
  assert not half.exists()


def test_a_step_is_saved_once(tmp_path):
  with CheckpointStore(tmp_path) as store:
    store.save(1, make_state(1))
    store.save(1, make_state(2))
  with CheckpointStore(tmp_path) as store:
    chex.assert_trees_all_equal(
      store.restore(make_state(0)).state, make_state(1)
    )


def test_arrays_of_a_folder_come_back(tmp_path):
  arrays = {'a': np.arange(3), 'b': np.ones((2, 2), np.float32)}
  checkpoint.write_arrays(tmp_path / 'new', arrays)
  shapes = {
    name: jax.ShapeDtypeStruct(value.shape, value.dtype)
    for name, value in arrays.items()
  }
  found = checkpoint.read_arrays(tmp_path / 'new', shapes)
  chex.assert_trees_all_equal(found, arrays)


def test_nothing_good_is_an_error_with_one_line(tmp_path):
  save(tmp_path, [1])
  truncate(tmp_path / '1')
  with (
    CheckpointStore(tmp_path) as store,
    pytest.raises(ValueError, match='No good checkpoint') as error,
  ):
    store.restore(make_state(0))
  assert '\n' not in str(error.value)
