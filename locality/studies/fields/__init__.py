"""Fields of a pixel, and whole tables of them."""
