"""How fast this package is on the machine at hand: `evlayerseg bench`."""
