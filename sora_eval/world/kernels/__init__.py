"""The compiled ray caster and shaders: Numba kernels over tables, which only `world.render` calls."""
