"""The words that every room speaks: types, cells, cards, store, files, registry, errors."""
