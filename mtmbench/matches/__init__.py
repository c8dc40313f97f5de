"""Two models before a judge.

The face is :func:`mtmbench.matches.match.judge_pair`. :mod:`options` says what is shown,
:mod:`schedule` on which documents, :mod:`league` lays a league's matches out as cells;
:mod:`controls` have a known answer, :mod:`adaptive` asks no more than it must, :mod:`rewrites`
refines and summarises topics, :mod:`audit` says how a judge behaved.
"""
