/// A cloud that notifies its machines of preemption.
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

  /// The variable that overrides the endpoint. The first two are those of the clouds' own libraries.
  public var endpointVariable: String {
    switch self {
    case .gce: "GCE_METADATA_HOST"
    case .aws: "AWS_EC2_METADATA_SERVICE_ENDPOINT"
    case .azure: "HOLDFAST_AZURE_METADATA_ENDPOINT"
    }
  }

  /// The same link-local address for all three, which needs no DNS. GCE requires its name in `Host`.
  var standardEndpoint: Endpoint {
    Endpoint(address: "169.254.169.254", port: 80, host: self == .gce ? "metadata.google.internal" : nil)
  }

  public func endpoint(_ environment: [String: String]) throws(PreemptionError) -> Endpoint {
    guard let text = environment[endpointVariable], !text.isEmpty else { return standardEndpoint }
    return try Endpoint(text, of: endpointVariable)
  }

  /// The conversations with its metadata server; each uses its own connections.
  func conversations() -> [any Conversation] {
    switch self {
    case .gce: [GoogleConversation(.preempted), GoogleConversation(.maintenance)]
    case .aws: [AmazonConversation()]
    case .azure: [AzureConversation()]
    }
  }

  // MARK: Detection

  /// Files below /sys/class/dmi/id that identify the cloud; reading them needs no privileges.
  public static let firmwareFiles = [
    "sys_vendor", "product_name", "bios_vendor", "bios_version", "chassis_asset_tag",
  ]

  /// - Parameter firmware: contents of the readable `firmwareFiles`, by name.
  /// - Returns: nil if the firmware names none of them. No server is asked then: outside of these clouds, the
  ///   address may be routed to any host.
  public static func detect(firmware: [String: String]) -> Cloud? {
    func field(_ name: String) -> String { firmware[name]?.lowercased() ?? "" }
    if field("product_name") == "google compute engine" || field("sys_vendor") == "google" { return .gce }
    // Nitro machines name the vendor; Xen machines have it in the version, such as 4.11.amazon.
    if field("sys_vendor") == "amazon ec2" || field("bios_vendor") == "amazon ec2"
      || field("bios_version").contains("amazon")
    {
      return .aws
    }
    // Every Hyper-V machine says Microsoft; the tag is specific to Azure.
    if field("chassis_asset_tag") == "7783-7084-3265-9085-8269-3286-77" { return .azure }
    return nil
  }
}
