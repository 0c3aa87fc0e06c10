/// All that is wrong with one value.
public struct Mistakes: Error, Hashable, Sendable, CustomStringConvertible {
  public var all: [Mistake]

  init(_ all: [Mistake]) { self.all = all }
  init(_ text: String) { all = [Mistake(text)] }

  public var description: String { all.map(\.description).joined(separator: "; ") }
}
