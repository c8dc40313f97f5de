"""Names for SAE features and for topics, by judges or from Neuronpedia.

:mod:`label_folder` labels an SAE's folder (:mod:`autointerp`, :mod:`neuronpedia`),
:mod:`topic_labels` a result's topics.
"""
