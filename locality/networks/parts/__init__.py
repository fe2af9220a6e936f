"""What the network plug-ins share."""
