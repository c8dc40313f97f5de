"""Questions become answers.

The face is :class:`mtmbench.judges.panel.Panel`: whoever asks a judge does it through one.
:mod:`base` is the interface of a client (:mod:`clients` has those that come along, :mod:`registry`
the names and cards), :mod:`prompt` writes questions and :mod:`replies` reads answers, a grammar for
each over :mod:`reply_form`; :mod:`ledger` keeps what was paid for, in a :mod:`ledger_file`;
:mod:`budget` and :mod:`limits` hold back.
"""
