"""What the engine's own Python runs, since it alone has torch and transformers."""
