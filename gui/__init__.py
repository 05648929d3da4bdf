"""The desktop application: PySide6 and pyqtgraph, a client of the engine's API."""
