"""What the edits share."""
