import LMDB
import POSIX
public import Reporting
import SystemPackage

/// Why the store could not be opened, read or written.
public typealias StoreError = CodedError<StoreErrorCode>

public enum StoreErrorCode: Hashable, Sendable {
  /// There is no store.
  case missing
  /// LMDB cannot open it, or it is not a store of holdfast.
  case damaged
  case newerVersion
  case noRoom
  case io

  /// What happened, as every command says it.
  var what: String {
    switch self {
    case .missing: "there is no job here"
    case .damaged: "the job's store cannot be opened"
    case .newerVersion: "the job's store was written by a newer holdfast"
    case .noRoom: "no room for the job's store"
    case .io: "the job's store cannot be read"
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
      ? "it is of another version of LMDB; move it aside: mv \(path) \(path).other"
      : code == .damaged
        ? "run the job: what can be read is kept, and the damaged file is set aside"
        : "look at the disk: df \(path); ls -l \(path)"
    self.init(code, path: path, why: error.description, hint: hint)
  }
}
