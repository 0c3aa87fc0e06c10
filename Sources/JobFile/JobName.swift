/// Names of jobs. They are also names of directories, units and files.
public enum JobName {
  /// The valid name closest to `text`.
  public static func sanitize(_ text: String) -> String {
    let clean = text.map { $0.isASCII && ($0.isLetter || $0.isNumber || "-_.".contains($0)) ? $0 : "-" }
    let name = String(clean.drop { $0 == "." || $0 == "-" }.prefix(100))
    return name.isEmpty ? "job" : name
  }

  public static func isValid(_ name: String) -> Bool { name == sanitize(name) }

  /// The message for an invalid name.
  public static func fault(_ name: String) -> String {
    "invalid job name '\(name)'; use letters, digits, '.', '_', '-'"
  }
}
