"""Where jobs live: one folder a backend, and the seam that they all meet (`base`)."""
