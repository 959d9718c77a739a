"""Files of picture and sound, in and out: the only room that knows PyAV."""
