"""The same studies on a cluster of Dask: the training images stay on its workers, sums and averages merge.

A cluster is trusted: Dask sends functions and results as pickles, from the scheduler's machine to the workers and back.
`distributed` is imported only where a cluster is asked for.
"""
