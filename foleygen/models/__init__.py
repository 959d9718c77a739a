"""Networks and nothing else: modules, their configurations, their shapes."""
