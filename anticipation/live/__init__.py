"""A moment of live music, planned again and again. Knows no ports and no clocks: those are plugin_bridge's."""
