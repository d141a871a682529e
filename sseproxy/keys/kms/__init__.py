"""Key management services: one small protocol, one file for each provider."""
