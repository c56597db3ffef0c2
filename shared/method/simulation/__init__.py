"""A run foreseen: discrete events, from the first proposal to the last verdict, with nothing but chance behind them."""
