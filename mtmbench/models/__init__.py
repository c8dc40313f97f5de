"""Topic models behind one interface; each module is imported only when its name is asked for."""
