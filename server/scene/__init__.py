"""What the ground is: roofs, paved ground, trees, grass, soil, water, shadows and vehicles, each
with a probability; where the sun stands; how tall things are.

Read `parse.understood` from top to bottom. `network` looks at colours and shapes, `rules` at near
infrared, `evidence` at shadows, `known` at the user's own layers.
"""
