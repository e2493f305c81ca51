"""The commands: flags, logging and one call each."""

import os

# Figures are drawn into files. A notebook passes its own backend on to the
# commands that it starts; where that is not installed, matplotlib cannot be
# imported.
os.environ['MPLBACKEND'] = 'agg'
