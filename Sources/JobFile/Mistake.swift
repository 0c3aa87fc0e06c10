/// What is wrong with a value, in words that follow the name of its key.
public struct Mistake: Error, Hashable, Sendable, CustomStringConvertible {
  public var description: String
  /// Which part of the value: an element of an array, a name of a table.
  var part: [Locator.Component] = []
  /// The name of that part is wrong, not its value.
  var isAboutName = false

  init(_ description: String, part: [Locator.Component] = [], isAboutName: Bool = false) {
    self.description = description
    self.part = part
    self.isAboutName = isAboutName
  }
}
