"""A package, so that what its tests share, of scope package, ends with them and does not go on beside all others."""
