"""The trading quality report: Phoenix and others in the same markets, through one fill model (see `quality_report`)."""
