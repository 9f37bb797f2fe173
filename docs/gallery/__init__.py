"""Runnable examples: `python -m docs.gallery.NAME --data FOLDER` prints a table and draws a picture."""
