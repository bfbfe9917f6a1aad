"""What the fault tests stand on: an app whose tasks log what they do, real processes, and one that breaks things."""
