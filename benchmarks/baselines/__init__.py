"""Plain methods on the inputs that our model reads, and one way to score all of them."""
