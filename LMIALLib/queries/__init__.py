"""Which slice to ask about next. Floor 1, numpy only (clusters: scikit-learn, loaded where a strategy needs them).

Measure, aggregate, choose; `strategies` names them.
"""
