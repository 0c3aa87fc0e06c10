import Reporting

/// The path with which the next attempt resumes, for the words of its command.
final class AdoptedPath {
  /// nil: the program starts from the beginning.
  var path: String?
  /// Why the checkpoint cannot be given to the program; nil: it can.
  var failure: String?

  func expand(_ command: [String]) -> [String] { ResumeArgument.expand(command, path: path) }
}
