"""The validity card's pages, and the tables of the bundled encoders."""
