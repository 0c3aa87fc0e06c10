public enum RequestKind: Hashable, Sendable { case save, saveAndLeave, cancel }
