"""Whatever a flag is given: a value of its kind, or a clear error."""

import math

import numpy as np
import pytest
from absl import flags
from hypothesis import example, given, settings
from hypothesis import strategies as st

from internal_diffusion import options as options_lib
from internal_diffusion.applications.editing import EditOptions
from internal_diffusion.applications.flow import FlowOptions
from internal_diffusion.applications.images import GenerateOptions
from internal_diffusion.applications.restoration import RestoreOptions
from internal_diffusion.applications.super_resolution import UpscaleOptions
from internal_diffusion.bin import flow_frames, option_flags

SETTINGS = settings(max_examples=40, derandomize=True, deadline=None)
CLASSES = (
  EditOptions,
  FlowOptions,
  GenerateOptions,
  RestoreOptions,
  UpscaleOptions,
)
TEXTS = st.one_of(
  st.text(max_size=8),
  st.integers().map(str),
  st.floats().map(str),
  st.lists(st.integers(-9, 999), max_size=5).map(
    lambda n: ','.join(map(str, n))
  ),
  st.sampled_from(['', 'nan', 'inf', '-inf', '1e400', '0x10', '9' * 30, '1_0']),
)


def read(options_class, name, text):
  values = flags.FlagValues()
  option_flags.define(values, options_class)
  values(['command', f'--{name}={text}'])
  return option_flags.read(values, options_class)


def names_of(options_class):
  return [f.name for f, _ in option_flags.simple_fields(options_class)]


@pytest.mark.parametrize('options_class', CLASSES, ids=lambda c: c.__name__)
@SETTINGS
@given(data=st.data())
def test_any_text_is_an_option_or_an_error(options_class, data):
  name = data.draw(st.sampled_from(names_of(options_class)))
  text = data.draw(TEXTS)
  try:
    options = read(options_class, name, text)
  except (ValueError, flags.Error):
    return
  value = getattr(options, name)
  for number in value if isinstance(value, tuple) else (value,):
    assert not isinstance(number, float) or math.isfinite(number), (name, text)
  assert options_lib.to_dict(options)


@SETTINGS
@given(
  numbers=st.lists(st.integers(-(10**6), 10**6), min_size=1, max_size=5),
  separator=st.sampled_from([',', 'x', 'X']),
)
def test_numbers_come_back(numbers, separator):
  parser = option_flags._NumbersParser(int, len(numbers))
  text = separator.join(map(str, numbers))
  assert parser.parse(text) == tuple(numbers)
  assert parser.parse(parser.parse(text)) == tuple(numbers)


@SETTINGS
@given(texts=st.lists(st.text('0123456789:-x ', max_size=8), max_size=4))
@example(texts=['9' * 40 + ':1'])
def test_points_are_pixels_or_an_error(texts):
  try:
    points = flow_frames.read_points(texts, (40, 50, 3))
  except ValueError:
    return
  assert points.shape == (len(texts), 2)
  assert np.all(points >= 0)
