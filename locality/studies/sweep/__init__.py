"""Fields against the strength of an edit."""
