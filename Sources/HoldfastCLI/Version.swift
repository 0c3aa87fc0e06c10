import ArgumentParser
import Glibc
import JobFile
import POSIX
import Reporting

enum Version {
  static let text = "0.1.0"
}
