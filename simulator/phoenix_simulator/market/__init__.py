"""Where prices come from: a recorded capture or a seeded synthetic market, played by the run's clock."""
