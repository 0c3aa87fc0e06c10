import Supervision
import Testing

@testable import Preemption

@Suite struct SourceTests {
  @Test(arguments: ["auto", "gce", "aws", "azure", "none", "command:watch --every 5"])
  func sourceRoundTrips(text: String) throws {
    #expect(try PreemptionSource(text).description == text)
  }

  @Test(arguments: ["", "GCE", "command", "command:", "command:  ", "aws ", "off"])
  func unknownSourceIsRejected(
    text: String
  ) {
    #expect(throws: PreemptionError.self) { try PreemptionSource(text) }
  }

  @Test func cloudIsDetectedFromFirmware() {
    #expect(Cloud.detect(firmware: ["product_name": "Google Compute Engine"]) == .gce)
    #expect(Cloud.detect(firmware: ["sys_vendor": "Amazon EC2"]) == .aws)
    #expect(Cloud.detect(firmware: ["sys_vendor": "Xen", "bios_version": "4.11.amazon"]) == .aws)
    #expect(Cloud.detect(firmware: ["chassis_asset_tag": "7783-7084-3265-9085-8269-3286-77"]) == .azure)
    #expect(Cloud.detect(firmware: ["sys_vendor": "Microsoft Corporation"]) == nil, "Hyper-V elsewhere")
    #expect(Cloud.detect(firmware: ["sys_vendor": "QEMU"]) == nil)
    #expect(Cloud.detect(firmware: [:]) == nil)
  }

  @Test func endpointsAreReadFromEnvironment() throws {
    #expect(try Cloud.gce.endpoint([:]).text == "metadata.google.internal")
    #expect(try Cloud.aws.endpoint([:]).text == "169.254.169.254")
    #expect(try Cloud.gce.endpoint(["GCE_METADATA_HOST": "localhost:8080"]).text == "localhost:8080")
    let endpoint = try Cloud.aws.endpoint(["AWS_EC2_METADATA_SERVICE_ENDPOINT": "http://[fd00:ec2::254]/"])
    #expect(endpoint.address == "fd00:ec2::254" && endpoint.text == "[fd00:ec2::254]")
    #expect(try Cloud.azure.endpoint(["HOLDFAST_AZURE_METADATA_ENDPOINT": ""]).address == "169.254.169.254")
  }

  @Test(arguments: [
    "https://a", "http://a/b", "a:0", "a:x", "a:99999", "[::1", "[::1]x", "http://u@a", "a b", "http://",
    "a\r\nb",
  ]) func invalidEndpointIsRejected(text: String) {
    #expect(throws: PreemptionError.self) {
      try Cloud.aws.endpoint(["AWS_EC2_METADATA_SERVICE_ENDPOINT": text])
    }
  }

  @Test func programLinesAreParsed() throws {
    func read(_ line: String) throws -> NoticeReport? { try NoticeLine.read(line, source: "watch") }
    #expect(
      try read("preempt 30 host retires")
        == .notice(.init(source: "watch", action: "host retires", longestLead: .seconds(30))))
    #expect(
      try read("  preempt\t2.5")
        == .notice(.init(source: "watch", action: "preempt", longestLead: .milliseconds(2500))))
    #expect(try read("rebalance soon\u{1b}[31m") == .warning(source: "watch", text: "soon [31m"))
    #expect(try read("cancel") == .cancelled())
    for line in ["", "   ", "# hello", "#"] { #expect(try read(line) == nil) }
    for line in ["preempt", "preempt soon", "preempt -1", "preempt nan", "preempt inf", "cancel it", "stop"] {
      #expect(throws: PreemptionError.self) { try read(line) }
    }
  }

  @Test func failureIsReportedOnceAndRetriedSlowly() {
    let error = PreemptionError(answer: "nonsense")
    for isNamed in [true, false] {
      var reachability = Reachability(name: "AWS", isNamed: isNamed)
      var reports: [NoticeReport] = []
      var paused = Duration.zero
      for _ in 0..<50 {
        if let report = reachability.failed(error) { reports.append(report) }
        paused += reachability.pause
      }
      #expect(reports.count == 1)
      if case .degraded = reports[0] { #expect(isNamed) } else { #expect(!isNamed) }
      #expect(paused > .seconds(isNamed ? 2400 : 10_000), "fifty requests take most of an hour, or hours")
      #expect(reachability.succeeded() != nil && reachability.succeeded() == nil)
      #expect(reachability.pause == .zero)
    }
  }
}
