"""What the analytic denoisers share."""
