"""What the dataset plug-ins share."""
