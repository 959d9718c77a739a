"""The models of one bundle on one device, ready to be asked: Foley from pictures, ambience from words."""
