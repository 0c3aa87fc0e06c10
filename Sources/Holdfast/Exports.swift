// Trainers need to import only this module.
@_exported public import Checkpoints
@_exported public import TrainerProtocol

@_exported public import struct Reporting.CodedError
@_exported public import struct Reporting.Hint
@_exported public import enum Reporting.JSONValue
