"""The recipe behind a number: reproduction cards, what explains a difference, bundles and their verification."""
