"""State dicts and safetensors files: validate, convert, write, read."""
