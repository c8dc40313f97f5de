"""The words that every room speaks; no science.

Values: :mod:`types` (corpus, counts, views), :mod:`topic_result`, :mod:`cells` (a suite's units of
work), :mod:`competitors` (who plays, in which league), :mod:`cards` (what users write in TOML;
:mod:`card_files` finds and :mod:`card_reading` reads them).
Keeping: :mod:`records` (what a run keeps, a line each; its fields are in :mod:`fit_payloads`,
:mod:`match_payloads`, :mod:`steering_payloads` and :mod:`judge_facts`), :mod:`store` (the run
store, resumption), :mod:`files` and :mod:`tables` (reading and writing), :mod:`serialise`
(canonical JSON, content hashes, seeds). Plugging in: :mod:`registry`, :mod:`plugins`.
:mod:`errors` has every error that a user can mend.
"""
