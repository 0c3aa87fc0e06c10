// Users of the library need to import only this module.
@_exported public import Checkpoints

@_exported public import struct Reporting.CodedError
@_exported public import struct Reporting.Hint
