"""What every host generation shares; knows no wire format."""
