"""The executed book: notebooks run in kernels of their own, and the site that is built from them.

A page loads at most 3 MB, uncompressed. What keeps it there: figures have palettes where nobody sees it
(`report.pages.show`), the theme's icon script keeps the icons that the site uses (`theme_icons`), and MathJax is on
pages with equations only. The interactive map loads plotly's basic script from npm, a quarter of the full one.

The site of an edition has links that open a page elsewhere. **Colab** opens `REF/NAME.ipynb` on the branch `launch`:
the source and, after its title, a cell that fetches exactly this edition and runs its `tools/launch.py`. They cannot be
the files in `notebooks/`: the cell has to name a repository and an edition, and a commit cannot name itself. A hosted
machine brings its own torch and Python, so ranges are installed there and not the lock; IPython and the kernel are
never replaced under a running notebook. **Binder** opens the edition itself, because `.binder/` installs the library
beforehand, from conda-forge, whose torch for machines without an accelerator is a fraction of the size of PyPI's.
"""
