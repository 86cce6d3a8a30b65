"""Definition documents: from text to checked, frozen values. Pure: no Django, no database, no I/O."""
