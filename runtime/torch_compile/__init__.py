"""Steps that torch.compile, make_fx or a dispatch mode sees."""
