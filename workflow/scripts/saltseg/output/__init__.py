"""Everything a run hands to a user."""
