"""Host generations: one folder each; the only places that know a wire format."""
