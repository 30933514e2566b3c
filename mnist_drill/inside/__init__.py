"""See inside a network: a page that classifies what one draws, and shows every layer while it does."""
