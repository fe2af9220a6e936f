"""Networks of other people's code: five facts about one, its weights, and the Python file that makes it."""
