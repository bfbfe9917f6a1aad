"""Jobs that wait for other jobs: stored by producers, released by one worker of the fleet, shown as trees."""
