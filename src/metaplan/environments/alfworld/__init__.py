"""ALFWorld: household tasks as text games, in both of its grammars."""
