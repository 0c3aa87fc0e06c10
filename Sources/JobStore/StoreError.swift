import LMDB
import POSIX
public import Reporting
import SystemPackage

/// Why the store could not be opened, read or written.
public typealias StoreError = CodedError<StoreErrorCode>

public enum StoreErrorCode: ErrorCode {
  /// The store does not exist.
  case missing
  /// LMDB cannot open it, or it is not a store of holdfast.
  case damaged
  case newerVersion
  case noRoom
  case io

  /// The message of all commands.
  var what: String {
    switch self {
    case .missing: "no job in this directory"
    case .damaged: "cannot open the job's store"
    case .newerVersion: "the job's store was written by a newer holdfast"
    case .noRoom: "no space for the job's store"
    case .io: "cannot read the job's store"
    }
  }
}

extension StoreError {
  init(_ code: StoreErrorCode, path: FilePath, why: String?, hint: Hint) {
    self.init(code, code.what, path: path, why: why, hint: hint)
  }

  init(_ error: LMDBError, path: FilePath) {
    let code: StoreErrorCode =
      if error.isDamage {
        .damaged
      } else if error.code == 2 {
        .missing
      } else if Errno(rawValue: error.code).isNoRoom {
        .noRoom
      } else {
        .io
      }
    let hint: Hint =
      error.isOtherVersion
      ? "written by another version of LMDB; move it aside: mv \(path) \(path).other"
      : code == .damaged
        ? "run the job: readable records are recovered, and the damaged file is moved aside"
        : "check the disk: df \(path); ls -l \(path)"
    self.init(code, path: path, why: error.description, hint: hint)
  }
}
