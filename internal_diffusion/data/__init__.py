"""From an image file to vectors on the device."""
