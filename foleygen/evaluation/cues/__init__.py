"""Are cues and words obeyed, and what do they cost?"""
