"""Similar rows of a set of vectors, exactly: pairs above a threshold, and nearest neighbours.

Arrays in, arrays out; it knows nothing of pictures, tables or Ray. ``rows`` says what a cosine is,
``sketch`` bounds it from above by short vectors, ``scan`` reads tiles of such bounds, ``join``
lists pairs, ``nearest`` lists neighbours, ``update`` mends both when rows come and go.
"""
