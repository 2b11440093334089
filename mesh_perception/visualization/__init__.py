"""Pictures of people: one renderer with depth between people, overlays, views from above and from the side."""
