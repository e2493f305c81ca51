"""Training configurations; see default.py for every field."""
