"""What sseproxy costs beside its peers, all measured in one run: `make bench`."""
