"""The options of the commands, by what they are about. Each imports its command when it is called."""
