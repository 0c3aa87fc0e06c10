/// A cloud whose machines learn from it that they will be taken away.
public enum Cloud: String, Hashable, Sendable, CaseIterable {
  case gce
  case aws
  case azure

  public var name: String {
    switch self {
    case .gce: "GCE"
    case .aws: "AWS"
    case .azure: "Azure"
    }
  }

  /// Variable that names another endpoint: the first two are those of the clouds' own libraries.
  public var endpointVariable: String {
    switch self {
    case .gce: "GCE_METADATA_HOST"
    case .aws: "AWS_EC2_METADATA_SERVICE_ENDPOINT"
    case .azure: "HOLDFAST_AZURE_METADATA_ENDPOINT"
    }
  }

  /// The address that needs no name service, the same in all three. GCE wants its name in `Host`.
  var standardEndpoint: Endpoint {
    Endpoint(address: "169.254.169.254", port: 80, host: self == .gce ? "metadata.google.internal" : nil)
  }

  public func endpoint(_ environment: [String: String]) throws(PreemptionError) -> Endpoint {
    guard let text = environment[endpointVariable], !text.isEmpty else { return standardEndpoint }
    return try Endpoint(text, of: endpointVariable)
  }

  /// The protocols to be spoken with it, each on a connection of its own.
  func conversations() -> [any Conversation] {
    switch self {
    case .gce: [GoogleConversation(.preempted), GoogleConversation(.maintenance)]
    case .aws: [AmazonConversation()]
    case .azure: [AzureConversation()]
    }
  }

  // MARK: Detection

  /// Files below /sys/class/dmi/id that tell; all can be read without privileges.
  public static let firmwareFiles = [
    "sys_vendor", "product_name", "bios_vendor", "bios_version", "chassis_asset_tag",
  ]

  /// - Parameter firmware: contents of `firmwareFiles`, by name; what cannot be read is left out.
  /// - Returns: nil where the firmware names none of them. Nothing is asked there: elsewhere the
  ///   address is routed to whom it may.
  public static func detect(firmware: [String: String]) -> Cloud? {
    func field(_ name: String) -> String { firmware[name]?.lowercased() ?? "" }
    if field("product_name") == "google compute engine" || field("sys_vendor") == "google" { return .gce }
    // Nitro names the vendor; Xen machines have it in the version, as in 4.11.amazon.
    if field("sys_vendor") == "amazon ec2" || field("bios_vendor") == "amazon ec2"
      || field("bios_version").contains("amazon")
    {
      return .aws
    }
    // Hyper-V says Microsoft anywhere; the tag is Azure's alone.
    if field("chassis_asset_tag") == "7783-7084-3265-9085-8269-3286-77" { return .azure }
    return nil
  }
}
