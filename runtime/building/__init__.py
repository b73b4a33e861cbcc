"""Compile C++ once, keep the objects in a cache, and load them."""
