"""Every setting in one frozen object."""
