"""Which slice to ask about next. Floor 1, numpy only: measure, aggregate, choose; `strategies` names them."""
