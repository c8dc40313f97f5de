from __future__ import annotations

import numpy as np

from mtmbench.steering.experiment import largest_topics


def test_topics_of_largest_share(result):
    shares = result.doc_topic.mean(axis=0)
    expected = [k for k in np.argsort(-shares) if k != 3]
    assert largest_topics(result, 10) == expected
    assert largest_topics(result, 2) == expected[:2]
