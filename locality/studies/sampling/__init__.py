"""Images from noise, and how near they are to the training images."""
