"""Rules of the public surface."""

import importlib
import inspect
import pathlib
import pkgutil

import pytest

import internal_diffusion

MODULES = [
  module.name
  for module in pkgutil.walk_packages(
    internal_diffusion.__path__, 'internal_diffusion.'
  )
]


def public_functions():
  for name in MODULES:
    module = importlib.import_module(name)
    for attribute, value in vars(module).items():
      if (
        inspect.isfunction(value)
        and value.__module__ == name
        and not attribute.startswith('_')
      ):
        yield pytest.param(value, id=f'{name}.{attribute}')


@pytest.mark.parametrize('function', public_functions())
def test_public_function_is_documented_typed_and_takes_key_first(function):
  assert function.__doc__, 'a public function is documented'
  parameters = inspect.signature(function).parameters
  names = list(parameters)
  if 'key' in names:
    assert names[0] == 'key'
  for parameter in parameters.values():
    if parameter.default is not inspect.Parameter.empty:
      allowed = {inspect.Parameter.KEYWORD_ONLY}
      # The optional argument that a call is about: `learn_patches(image,
      # options)`, `load(folder, PatchModel)`.
      positional = parameter.name in ('cond', 'kind', 'options', 'to_x0')
      assert positional or parameter.kind in allowed, parameter.name


@pytest.mark.parametrize('name', MODULES)
def test_module_is_documented(name):
  assert importlib.import_module(name).__doc__


def test_all_names_exist():
  for name in internal_diffusion.__all__:
    assert getattr(internal_diffusion, name) is not None


def test_package_is_typed():
  path = pathlib.Path(internal_diffusion.__file__).parent / 'py.typed'
  assert path.exists()
