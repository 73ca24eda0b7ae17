"""Speed as ratios to yardsticks of the same run: `python -m bench`, or `make bench`."""
