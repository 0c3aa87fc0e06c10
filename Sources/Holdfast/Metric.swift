/// A number that every snapshot carries, such as the loss. Declare it once, set it before `step()`.
public struct Metric {
  let slot: UnsafeMutablePointer<Double>

  @inline(__always)
  public func set(_ value: Double) { slot.pointee = value }

  @inline(__always)
  public func set(_ value: Float) { slot.pointee = Double(value) }

  public var value: Double { slot.pointee }
}
