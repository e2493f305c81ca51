"""The files that a command reads."""

from internal_diffusion.bin import inputs


def test_names_are_in_natural_order(tmp_path):
  for name in ('f10.png', 'f2.png', 'f1.png', 'c[1].png'):
    (tmp_path / name).touch()
  found = inputs.find_files(
    [f'{tmp_path}/f2.png', f'{tmp_path}/c[1].png', f'{tmp_path}/*.png']
  )
  names = ['f2.png', 'c[1].png', 'f1.png', 'f10.png']
  assert [path.name for path in found] == names
  found = inputs.find_pictures([f'{tmp_path}/f2.png'] * 2, repeated=True)
  assert len(found) == 2
