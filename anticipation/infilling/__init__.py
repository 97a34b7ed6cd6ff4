"""Requests answered: what is asked, how it is told to a model, which draft stays. The tasks are here."""
