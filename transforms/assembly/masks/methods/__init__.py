"""Methods that find clouds and their shadows in the bands of a scene, as functions on arrays."""
