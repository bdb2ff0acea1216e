// Inspector: read-only facts about a store, for people and their tools.
