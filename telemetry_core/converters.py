"""The converter hooks of our own: types of the standard library, numpy and astropy."""
