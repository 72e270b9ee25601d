"""The async shell: supervised tasks that carry events between the cores. It decides nothing about money."""
