"""Bad input of idiff-edit: one line, and nothing half-written."""

import pytest

from tests.bin import commands
from tests.bin.toy_edit import run, write_pictures


@pytest.fixture(scope='module')
def folder(tmp_path_factory):
  path = tmp_path_factory.mktemp('pictures')
  write_pictures(path)
  return path


@pytest.mark.parametrize(
  ('arguments', 'words'),
  [
    (('--image={folder}/photo.png',), ('--mode is required',)),
    (('--mode=blend', '--image={folder}/photo.png'), ('harmonize', 'blend')),
    (('--mode=fill',), ('--image is required',)),
    (
      ('--mode=fill', '--image={folder}/photo.png'),
      ('--mask is required', 'fill'),
    ),
    (
      ('--mode=paint', '--image={folder}/photo.png'),
      ('--guide is required', 'paint'),
    ),
    (
      (
        '--mode=fill',
        '--image={folder}/photo.png',
        '--mask={folder}/black.png',
      ),
      ('--mask', 'black everywhere', 'white where', '--invert_mask'),
    ),
    (
      (
        '--mode=rearrange',
        '--image={folder}/photo.png',
        '--mask={folder}/white.png',
        '--move=1,1',
      ),
      ('--mask', 'white everywhere', 'be white where', '--invert_mask'),
    ),
    (
      (
        '--mode=fill',
        '--image={folder}/photo.png',
        '--mask={folder}/white.png',
        '--invert_mask',
      ),
      ('--mask', 'white everywhere', 'be black where', 'without'),
    ),
    (
      ('--mode=interpolate', '--image={folder}/photo.png'),
      ('--guide is required', 'interpolate'),
    ),
    (
      (
        '--mode=remove',
        '--image={folder}/photo.png',
        '--mask={folder}/mask.png',
        '--grow=-1',
      ),
      ('--grow', '0 or more', '-1'),
    ),
    (
      (
        '--mode=remove',
        '--image={folder}/photo.png',
        '--mask={folder}/mask.png',
        '--grow=500',
      ),
      ('--grow 500', 'whole picture'),
    ),
    (
      ('--mode=extend', '--image={folder}/photo.png', '--size=big'),
      ('--size=big', '2 whole numbers'),
    ),
    (
      (
        '--mode=harmonize',
        '--image={folder}/photo.png',
        '--mask={folder}/black.png',
        '--invert_mask',
      ),
      ('--mask', 'black everywhere', '--invert_mask'),
    ),
    (
      (
        '--mode=rearrange',
        '--image={folder}/photo.png',
        '--mask={folder}/mask.png',
        '--move=90,0',
      ),
      ('--move 90,0', 'outside', '-8 to 10'),
    ),
    (
      (
        '--mode=rearrange',
        '--image={folder}/photo.png',
        '--mask={folder}/mask.png',
      ),
      ('must change',),
    ),
    (
      (
        '--mode=rearrange',
        '--image={folder}/photo.png',
        '--mask={folder}/mask.png',
        '--scale=9',
      ),
      ('larger than the picture',),
    ),
    (
      (
        '--mode=paint',
        '--image={folder}/photo.png',
        '--guide={folder}/grey.png',
      ),
      ('--guide', '1 channels'),
    ),
    (
      (
        '--mode=extend',
        '--image={folder}/photo.png',
        '--expand=0,0,0,0',
      ),
      ('--expand', 'not all 0'),
    ),
    (
      (
        '--mode=extend',
        '--image={folder}/photo.png',
        '--expand=0,900000,900000,0',
      ),
      ('--expand to 900024x900034', 'memory'),
    ),
    (
      (
        '--mode=extend',
        '--image={folder}/alpha.png',
        '--size=900000x900000',
      ),
      ('--size 900000x900000', 'memory'),
    ),
    (('--mode=extend', '--image={folder}/photo.png'), ('neither',)),
    (
      ('--mode=extend', '--image={folder}/photo.png', '--size=20x50'),
      ('--size', '24x34'),
    ),
    (
      (
        '--mode=reference',
        '--image={folder}/photo.png',
        '--guide={folder}/small.png',
        '--factor=2',
      ),
      ('--guide', '12x17'),
    ),
    (
      (
        '--mode=vary',
        '--image={folder}/photo.png',
        '--strength=1.5',
      ),
      ('--strength', '1.5'),
    ),
    (
      (
        '--mode=vary',
        '--image={folder}/photo.png',
        '--factor=4',
      ),
      ('--factor', 'reference', 'vary'),
    ),
    (
      (
        '--mode=vary',
        '--image={folder}/photo.png',
        '--mask={folder}/mask.png',
      ),
      ('--mask', 'vary'),
    ),
    (
      ('--mode=vary', '--image={folder}/tiny.png'),
      ('patch',),
    ),
    (
      (
        '--mode=harmonize',
        '--image={folder}/photo.png',
        '--guide={folder}/photo.png',
      ),
      ('--guide', 'nowhere'),
    ),
  ],
)
def test_bad_input_gives_one_line_and_code_2(
  folder, tmp_path, arguments, words
):
  out = tmp_path / 'out'
  code, _, err = run(folder, out, *arguments)
  commands.assert_one_line_and_nothing_written(code, err, out)
  for word in words:
    assert word in err
