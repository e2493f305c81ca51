"""The commands: flags, logging and one call each."""
