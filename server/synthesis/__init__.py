"""Exemplar-based inpainting and synthesis: coherent copying of the image's own pixels.

The method is not diffusion. A nearest-neighbour field (which pixel to copy for
each pixel of the hole) is found coarse to fine (after Barnes et al., PatchMatch,
2009; Wexler et al., space-time completion, 2007), turned into a seam-aware hard
copy, and laid into its surroundings by a robust screened Poisson equation
(after Perez et al., Poisson image editing, 2003).
"""
