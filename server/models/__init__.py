"""Networks and loaders that no library ships; arrays and text in, arrays out."""
