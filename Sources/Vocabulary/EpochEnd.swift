/// The moment that counts as the end of an epoch. The values are those of the ring's header.
public enum EpochEnd: UInt32, Hashable, Sendable, Codable {
  /// After its last step.
  case training = 1
  /// After the validation that follows it: where the next epoch begins.
  case validation = 2
}
