"""What follows from mean and covariance alone: statistics, the Wiener filter, spectra, planted patterns."""
