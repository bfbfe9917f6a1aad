"""The same done to many jobs: followed, slowed down, broken off, gone on with after a restart."""
