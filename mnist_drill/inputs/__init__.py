"""Images from elsewhere: pictures of digits, and the digit-recognizer competition's tables."""
