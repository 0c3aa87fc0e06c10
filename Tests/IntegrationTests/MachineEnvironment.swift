import S3Server

extension S3Server {
  /// Variables of a machine with the remote `t:`.
  func machine(secret: String = "testing-secret") -> [String: String] {
    // An empty variable counts as unset: rclone cannot use a CA bundle.
    let entries = environment(remote: "t", secret: secret) + ["AWS_CA_BUNDLE="]
    return Dictionary(
      uniqueKeysWithValues: entries.map { entry in
        let parts = entry.split(separator: "=", maxSplits: 1).map(String.init)
        return (parts[0], parts.count > 1 ? parts[1] : "")
      })
  }
}
