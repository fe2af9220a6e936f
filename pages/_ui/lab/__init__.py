"""What the views of all pages share: pointer and keys, files, playing, charts, saved pictures, one style."""
