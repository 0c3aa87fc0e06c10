/// A number in every snapshot, such as the loss. Declare it once and set it before each `step()`.
public struct Metric {
  let slot: UnsafeMutablePointer<Double>

  @inline(__always)
  public func set(_ value: Double) { slot.pointee = value }

  @inline(__always)
  public func set(_ value: Float) { slot.pointee = Double(value) }

  public var value: Double { slot.pointee }
}
