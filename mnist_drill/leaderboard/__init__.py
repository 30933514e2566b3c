"""The leaderboard: networks that were judged in full, as reports with their files; judged again to be accepted."""
