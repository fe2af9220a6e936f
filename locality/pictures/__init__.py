"""Image files of any kind -> arrays of one size: no tensor and no dataset, so that a process starts in a moment."""
