"""Where tiles come from and how they are stored: sources, import, arrays, folds."""
