"""The offline encoder's joint space: two towers from packages, two heads of ours between them.

A vector has two parts. *Looks*, 512 numbers: the square root of the image tower's features, turned
and shortened; a prompt gets there through a small network. *Labels*, 256 numbers: the mean
embedding of the class names that the image tower believes in; a prompt is there already.
"""
