"""Settings and parameters: defaults < file < environment < command line, each value with its origin."""
