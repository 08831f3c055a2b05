"""What tests of several folders share; conftests hold fixtures alone."""
