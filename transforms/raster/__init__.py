"""Shared ground of the stages: windows on storage, atomic writing, the work area, blocks."""
