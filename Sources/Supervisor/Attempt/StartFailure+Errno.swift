import Glibc
import Supervision

extension StartFailure {
  var errno: Int32 {
    switch self {
    case .notFound: ENOENT
    case .notExecutable: EACCES
    case .noRoom: ENOSPC
    case .other(let errno): errno
    }
  }
}
