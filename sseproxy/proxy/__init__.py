"""A request, classified, authenticated and handled: the straight lines of PUT and GET."""
