"""Configuration files of commands."""

import pytest

from internal_diffusion.bin import config_files


def test_a_configuration_is_found_from_any_folder(tmp_path, monkeypatch):
  monkeypatch.chdir(tmp_path)
  own = tmp_path / 'own.py'
  own.write_text('')
  for name in ('cascade', 'cascade.py', 'configs/cascade.py'):
    assert config_files.find_config(name).name == 'cascade.py'
  assert config_files.find_config('own.py').resolve() == own
  assert config_files.config_first(['--seed=1', '--config', 'own.py'], own) == [
    '--config=own.py',
    '--seed=1',
  ]
  with pytest.raises(FileNotFoundError) as error:
    config_files.find_config('configs/nothing.py')
  for word in ('configs/nothing.py', str(tmp_path), 'cascade', 'patch'):
    assert word in str(error.value)
