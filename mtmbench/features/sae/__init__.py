"""SAE features of a language model: extraction, thresholds, what features are known by.

:mod:`source` is a feature source over an activation store (:mod:`activation_store`, its files
:mod:`shards`, :mod:`extract`); :mod:`shipped` and :mod:`hub` are the two kinds of it.
:mod:`backbone` is what reads a model, :mod:`hugging_face` runs one that :mod:`pretrained` loads;
:mod:`hooks` names its places, which :mod:`hook_reading` reads. :mod:`sae`, :mod:`sae_config` and
:mod:`sae_lens` read weights and settings, :mod:`sae_folder` what lies beside them, which
:mod:`reference` makes from a text.
"""
