"""Tasks in processes of their own: `pool` lends children to jobs, `child` is the program that each of them runs."""
