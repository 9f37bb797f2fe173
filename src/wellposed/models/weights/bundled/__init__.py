"""The weights that come with the package: a `.safetensors` model file and its `.json` registry entry each."""
