/// Element types with their safetensors names: all of safetensors 0.8.
public enum DType: String, Hashable, Sendable, Codable, CaseIterable {
  case bool = "BOOL"
  case float4 = "F4"
  case float6E2M3 = "F6_E2M3"
  case float6E3M2 = "F6_E3M2"
  case uint8 = "U8"
  case int8 = "I8"
  case float8E5M2 = "F8_E5M2"
  case float8E4M3 = "F8_E4M3"
  case float8E8M0 = "F8_E8M0"
  case float8E4M3FNUZ = "F8_E4M3FNUZ"
  case float8E5M2FNUZ = "F8_E5M2FNUZ"
  case uint16 = "U16"
  case int16 = "I16"
  case float16 = "F16"
  case bfloat16 = "BF16"
  case uint32 = "U32"
  case int32 = "I32"
  case float32 = "F32"
  case complex64 = "C64"
  case uint64 = "U64"
  case int64 = "I64"
  case float64 = "F64"

  /// Size of an element. Elements smaller than a byte are packed.
  public var bits: Int {
    switch self {
    case .float4: 4
    case .float6E2M3, .float6E3M2: 6
    case .bool, .uint8, .int8, .float8E5M2, .float8E4M3, .float8E8M0, .float8E4M3FNUZ, .float8E5M2FNUZ: 8
    case .uint16, .int16, .float16, .bfloat16: 16
    case .uint32, .int32, .float32: 32
    case .complex64, .uint64, .int64, .float64: 64
    }
  }

  /// Size of an element, rounded up; also its alignment.
  public var bytes: Int { (bits + 7) / 8 }

  /// - Returns: the size of a tensor; nil if it is not a whole number of bytes or too large.
  public func bytes(of shape: [Int]) -> Int? {
    var bits = bits
    for extent in shape {
      let (product, overflow) = bits.multipliedReportingOverflow(by: extent)
      if overflow { return nil }
      bits = product
    }
    return bits % 8 == 0 ? bits / 8 : nil
  }
}
