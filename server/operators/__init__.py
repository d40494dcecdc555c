"""Weight-free scene operators on arrays: fog, snow, low light, flood, burn scar.

Every operator takes and returns float32 images (C, H, W), knows bands by their
roles, and draws its randomness from noise that is anchored to the raster, so the
same ground gets the same weather whatever window is edited.
"""
