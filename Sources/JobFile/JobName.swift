/// What a job may be called: a name of a directory, a unit and a file.
public enum JobName {
  /// The nearest name to `text` that a job may have.
  public static func sanitize(_ text: String) -> String {
    let clean = text.map { $0.isASCII && ($0.isLetter || $0.isNumber || "-_.".contains($0)) ? $0 : "-" }
    let name = String(clean.drop { $0 == "." || $0 == "-" }.prefix(100))
    return name.isEmpty ? "job" : name
  }

  public static func isValid(_ name: String) -> Bool { name == sanitize(name) }

  /// What to say of one that is not valid.
  public static func fault(_ name: String) -> String {
    "invalid job name '\(name)'; use letters, digits, '.', '_', '-'"
  }
}
