"""File formats: bytes to and from a Bundle, without any model or torch."""
