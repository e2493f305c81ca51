"""The uses of the page from one start to the next."""

import pytest

from internal_diffusion.web import forms
from internal_diffusion.web.uses import USES


@pytest.fixture
def kept(tmp_path, monkeypatch):
  monkeypatch.setenv('INTERNAL_DIFFUSION_CACHE', str(tmp_path / 'cache'))
  assert forms.read_uses() == USES
  return tmp_path / 'cache' / 'web_forms.json'


def test_the_kept_uses_are_the_same(kept):
  found = forms._read(kept, forms._fingerprint())
  assert found == USES
  assert forms.read_uses() == USES


def test_other_sources_make_them_anew(kept, monkeypatch):
  monkeypatch.setattr(forms, '_fingerprint', lambda: 1)
  assert forms._read(kept, 1) is None
  assert forms.read_uses() == USES
  assert forms._read(kept, 1) == USES


@pytest.mark.parametrize('data', [b'', b'[1]', b'{"sources": 1}', b'\xff'])
def test_a_damaged_file_is_made_anew(kept, data):
  kept.write_bytes(data)
  assert forms._read(kept, 1) is None
  assert forms.read_uses() == USES


def test_without_a_cache(kept, monkeypatch):
  monkeypatch.setenv('INTERNAL_DIFFUSION_CACHE', 'off')
  kept.unlink()
  assert forms.read_uses() == USES
  assert not kept.exists()
