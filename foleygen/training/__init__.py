"""From data to weights: recipes, the loop, what each model minimises, how it becomes a bundle."""
