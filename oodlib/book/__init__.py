"""The executed book: notebooks run in kernels of their own, and the site that is built from them."""
