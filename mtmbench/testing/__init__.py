"""Checks for plugin authors: does a model, a judge or a metric keep its side of the contract?

Each check plays the plugin on a small planted corpus and raises :class:`ContractError` with one
sentence that says what is wrong. They are meant for a plugin's own tests::

    from mtmbench.testing import check_topic_model

    def test_my_model():
        check_topic_model(MyModel)

They say nothing about whether topics, verdicts or values are any good.
"""

from mtmbench.testing.contract import ContractError
from mtmbench.testing.judges import check_judge
from mtmbench.testing.metrics import check_metric
from mtmbench.testing.models import check_topic_model

__all__ = ["ContractError", "check_judge", "check_metric", "check_topic_model"]
